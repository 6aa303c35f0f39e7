"""Accounts, passwords and sessions, in the system database."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from .databases import transaction


class AccountExistsError(Exception):
    """Another account has this name."""


@dataclass(frozen=True)
class Accounts:
    system_database: Path

    def exists(self, name: str) -> bool:
        with transaction(self.system_database) as connection:
            rows = connection.execute("SELECT 1 FROM accounts WHERE name = ?", (name,))
            return rows.fetchone() is not None

    def create(self, name: str, password: str) -> None:
        salt = secrets.token_bytes(16)
        row = (name, salt, _hash_password(password, salt))
        try:
            with transaction(self.system_database) as connection:
                connection.execute("INSERT INTO accounts VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            raise AccountExistsError(name) from error

    def has_password(self, name: str, password: str) -> bool:
        with transaction(self.system_database) as connection:
            row = connection.execute(
                "SELECT password_salt, password_hash FROM accounts WHERE name = ?", (name,)
            ).fetchone()
        # An unknown name takes as long as a wrong password.
        salt, expected = row or (b"", b"")
        return hmac.compare_digest(_hash_password(password, salt), expected)

    def start_session(self, name: str) -> str:
        """Returns a token that `account_of` accepts."""
        token = secrets.token_urlsafe(32)
        with transaction(self.system_database) as connection:
            row = (_hash_token(token), name)
            connection.execute("INSERT INTO sessions (token_hash, account) VALUES (?, ?)", row)
        return token

    def account_of(self, token: str) -> str | None:
        with transaction(self.system_database) as connection:
            row = connection.execute(
                "SELECT account FROM sessions WHERE token_hash = ?", (_hash_token(token),)
            ).fetchone()
        return None if row is None else str(row["account"])


def _hash_password(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def _hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
