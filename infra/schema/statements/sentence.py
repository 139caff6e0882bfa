"""Reads one SQL statement from left to right: words, names, clauses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.schema.statements.lexer import Token, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Name", "Sentence"]


@dataclass(frozen=True, slots=True)
class Name:
    """A name of something in a database, as a statement writes it.

    Attributes:
        texts: Its parts as they are written, quotes included.
        key: Its parts, the same for all spellings of one name.
    """

    texts: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole name as it is written."""
        return ".".join(self.texts)

    @property
    def parent(self) -> Name | None:
        """What is before its last dot: the table of a column."""
        return Name(self.texts[:-1], self.key[:-1]) if len(self.key) > 1 else None

    def sibling(self, name: Name) -> Name:
        """Give another name in the same schema."""
        return Name((*self.texts[:-1], *name.texts), (*self.key[:-1], *name.key))


class Sentence:
    """A statement, or a part of one, and how far it has been read."""

    def __init__(self, sql: str, pieces: Sequence[Token] | None = None) -> None:
        """Begin at the first token of `sql`, or of `pieces` of it."""
        self._sql = sql
        self._pieces = (
            [token for token in tokens(sql) if token.kind != "comment"]
            if pieces is None
            else list(pieces)
        )
        self._place = 0

    @property
    def text(self) -> str:
        """The whole statement in one line."""
        return " ".join(self._sql.split())

    @property
    def source(self) -> str:
        """What is left, as it is written; comments at both ends are left out."""
        pieces = self._pieces[self._place :]
        return self._sql[pieces[0].start : pieces[-1].end] if pieces else ""

    def before(self, *words: str) -> Sentence:
        """Give what is left up to the next of these words outside of parentheses."""
        rest = self.copy()
        if not rest.past(*words):
            return rest
        return Sentence(self._sql, self._pieces[self._place : self._place + rest.read - 1])

    def outermost(self, mark: str) -> Sentence:
        """Give what comes before the last place of some marks outside of parentheses.

        Nothing where they stand nowhere there.
        """
        depth, found = 0, self._place
        for place in range(self._place, len(self._pieces)):
            token = self._pieces[place]
            if token.kind != "mark":
                continue
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.value, 0)
            if not depth and self._stands(place, mark):
                found = place
        return Sentence(self._sql, self._pieces[self._place : found])

    @property
    def read(self) -> int:
        """How many of its tokens have been read."""
        return self._place

    def take(self, *words: str) -> bool:
        """Go past these words or marks if they come next, all of them."""
        found = self._stands(self._place, words)
        if found:
            self._place += len(words)
        return found

    def skip(self, *words: str) -> None:
        """Go past any of these words, however many come."""
        while any(self.take(word) for word in words):
            pass

    def word(self) -> str:
        """Read the next token as a word; empty where it is none."""
        token = self._peek()
        if token is None or token.kind != "word":
            return ""
        self._place += 1
        return token.value

    def name(self) -> Name | None:
        """Read a name of one or more parts."""
        texts: list[str] = []
        keys: list[str] = []
        while (token := self._peek()) is not None and token.kind in {"word", "name"}:
            self._place += 1
            text = self._sql[token.start : token.end]
            texts.append(text)
            plain = token.kind == "word" or not text.startswith('"')
            keys.append(text.lower() if plain else text[1:-1].replace('""', '"'))
            if not self.take("."):
                break
        return Name(tuple(texts), tuple(keys)) if texts else None

    def names(self) -> list[Name]:
        """Read names with commas between them."""
        found = []
        while True:
            self.skip("ONLY")
            name = self.name()
            if name is not None:
                found.append(name)
            self.take("*")
            if name is None or not self.take(","):
                return found

    def past(self, *words: str) -> str:
        """Go past the next of these words outside of parentheses; say which it was."""
        depth = 0
        for place in range(self._place, len(self._pieces)):
            token = self._pieces[place]
            depth += {"(": 1, ")": -1}.get(token.value, 0) if token.kind == "mark" else 0
            if not depth and token.kind == "word" and token.value in words:
                self._place = place + 1
                return token.value
        return ""

    def has(self, *words: str) -> bool:
        """Tell whether these words come one after the other in what is left."""
        return any(True for _ in self.each(*words))

    def each(self, *words: str) -> Iterator[Sentence]:
        """Give what comes after each place where these words stand, in parentheses or not."""
        for place in range(self._place, len(self._pieces)):
            if self._stands(place, words):
                yield Sentence(self._sql, self._pieces[place + len(words) :])

    def clauses(self) -> Iterator[Sentence]:
        """Divide what is left at the commas outside of parentheses."""
        depth, begin = 0, self._place
        for place in range(self._place, len(self._pieces)):
            token = self._pieces[place]
            if token.kind != "mark":
                continue
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.value, 0)
            if token.value == "," and not depth:
                yield Sentence(self._sql, self._pieces[begin:place])
                begin = place + 1
        yield Sentence(self._sql, self._pieces[begin:])

    def options(self) -> list[str]:
        """Read the names of `(name [= value], ...)` in capitals."""
        if not self.take("("):
            return []
        found = []
        for clause in self.clauses():
            name = clause.name()
            found.append(name.text.upper() if name is not None else "")
        return found

    def inside(self) -> Sentence:
        """Give what is in the next parentheses; nothing where there are none."""
        depth, begin = 0, len(self._pieces)
        for place in range(self._place, len(self._pieces)):
            token = self._pieces[place]
            if token.kind != "mark" or token.value not in "()":
                continue
            if not depth:
                begin = place + 1
            depth += 1 if token.value == "(" else -1
            if not depth:
                return Sentence(self._sql, self._pieces[begin:place])
        return Sentence(self._sql, self._pieces[begin:])

    def past_parentheses(self) -> None:
        """Go past `(...)` if that comes next."""
        if self.take("("):
            depth = 1
            while depth and (token := self._peek()) is not None:
                self._place += 1
                if token.kind == "mark":
                    depth += {"(": 1, ")": -1}.get(token.value, 0)

    def copy(self) -> Sentence:
        """Give the same place of the same statement, to be read on its own."""
        return Sentence(self._sql, self._pieces[self._place :])

    def _stands(self, place: int, words: Sequence[str]) -> bool:
        return len(self._pieces) >= place + len(words) and all(
            self._pieces[place + number].value == word
            and self._pieces[place + number].kind in {"word", "mark"}
            for number, word in enumerate(words)
        )

    def _peek(self) -> Token | None:
        return self._pieces[self._place] if self._place < len(self._pieces) else None
