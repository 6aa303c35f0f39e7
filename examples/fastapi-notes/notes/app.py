"""The HTTP server: `uvicorn notes.app:app`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from tatmig import TatmigError

from .accounts import AccountExistsError, Accounts
from .databases import migrate_system_database, migrate_user
from .notes import NewNote, Note, Notes

logger = logging.getLogger(__name__)


class State(TypedDict):
    accounts: Accounts


class Credentials(BaseModel):
    #: The name becomes a part of a file's name.
    name: Annotated[str, Field(pattern="^[a-z0-9-]{1,32}$")]
    password: Annotated[str, Field(min_length=8, max_length=100)]


class Session(BaseModel):
    token: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    # The server does not start if the system database cannot be migrated.
    yield {"accounts": Accounts(await migrate_system_database())}


app = FastAPI(title="Notes", lifespan=lifespan)


@app.exception_handler(TatmigError)
async def database_is_not_ready(_: Request, error: TatmigError) -> JSONResponse:
    """A user's database cannot be migrated now. It was left unchanged, and other users are served.

    The log has the statement that failed and its place in MIGRATIONS.md. The next request of the
    user tries again.
    """
    logger.error("%s", error)
    return JSONResponse(
        {"detail": "Your notes cannot be opened at the moment. They are safe; try again later."},
        status.HTTP_503_SERVICE_UNAVAILABLE,
        {"Retry-After": "60"},
    )


def get_accounts(request: Request) -> Accounts:
    accounts: Accounts = request.state.accounts
    return accounts


TheAccounts = Annotated[Accounts, Depends(get_accounts)]
BearerToken = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


@app.post("/accounts", status_code=status.HTTP_201_CREATED)
async def sign_up(credentials: Credentials, accounts: TheAccounts) -> None:
    name_is_taken = HTTPException(status.HTTP_409_CONFLICT, "this name is taken")
    if await run_in_threadpool(accounts.exists, credentials.name):
        raise name_is_taken
    # The database first: if the server is killed in between, the name is still free.
    await migrate_user(credentials.name, create=True)
    try:
        await run_in_threadpool(accounts.create, credentials.name, credentials.password)
    except AccountExistsError as error:
        raise name_is_taken from error


@app.post("/sessions")
async def log_in(credentials: Credentials, accounts: TheAccounts) -> Session:
    name = credentials.name
    if not await run_in_threadpool(accounts.has_password, name, credentials.password):
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "the name or the password is wrong")
    await migrate_user(name)
    return Session(token=await run_in_threadpool(accounts.start_session, name))


async def get_notes(bearer: BearerToken, accounts: TheAccounts) -> Notes:
    """The notes of the user who sends the request.

    The database is migrated here as well as at log-in, since the document may move on while a user
    is logged in.
    """
    name = await run_in_threadpool(accounts.account_of, bearer.credentials)
    if name is None:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "the token is unknown; log in again")
    return Notes(await migrate_user(name))


TheNotes = Annotated[Notes, Depends(get_notes)]


@app.get("/notes")
def list_notes(notes: TheNotes) -> list[Note]:
    return notes.all()


@app.post("/notes", status_code=status.HTTP_201_CREATED)
def add_note(note: NewNote, notes: TheNotes) -> Note:
    return notes.add(note)
