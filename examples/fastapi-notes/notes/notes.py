"""The notes of one user, in that user's database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from .databases import transaction


class NewNote(BaseModel):
    body: str
    pinned: bool = False


class Note(NewNote):
    id: int


@dataclass(frozen=True)
class Notes:
    database: Path

    def all(self) -> list[Note]:
        """Pinned notes first, then the newest first."""
        with transaction(self.database) as connection:
            rows = connection.execute(
                "SELECT id, body, pinned FROM notes ORDER BY pinned DESC, id DESC"
            )
            return [Note(id=row["id"], body=row["body"], pinned=row["pinned"]) for row in rows]

    def add(self, note: NewNote) -> Note:
        with transaction(self.database) as connection:
            cursor = connection.execute(
                "INSERT INTO notes (body, pinned) VALUES (?, ?)", (note.body, note.pinned)
            )
        return Note(id=cursor.lastrowid or 0, body=note.body, pinned=note.pinned)
