"""A request's body as a file: raw or as a form, to the shelf as it comes, never whole in memory.

    chunks --Intake--> Writing (bounded) ; fields of a form, the file's name

Of a form the first part that is a file counts; the other parts are its fields, short texts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from controller.files import FilesError
from controller.files.shelf import TooLarge, Writing

AT_ONCE = 512 * 1024
"""Bytes that are collected before a thread writes them."""
MOST_FIELD = 16 * 1024
MOST_FIELDS = 20
IDLE_S = 60.0
"""Who sends nothing for so long has gone."""


class Unreadable(FilesError):
    """A form that is none."""


class Intake:
    """Takes one body. ``fields``: what else the form said; ``name``: the file's name as it was told."""

    def __init__(self, writing: Writing, content_type: str) -> None:
        self._writing = writing
        self.fields: dict[str, str] = {}
        self.name = ""
        self._ready = bytearray()
        kind, options = parse_options_header(content_type)
        self._form = kind == b"multipart/form-data"
        if self._form:
            boundary = options.get(b"boundary")
            if not boundary:
                raise Unreadable("the form has no boundary")
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]  # its own callbacks by name
        self._header, self._value, self._headers = bytearray(), bytearray(), dict[str, bytes]()
        self._field: str | None = None
        self._text = bytearray()
        self._in_file = self._had_file = self._ended = False

    async def take(self, chunks: AsyncIterator[bytes]) -> None:
        """Read to the end. Raises :class:`TooLarge`, :class:`Unreadable`, other :class:`FilesError`, TimeoutError."""
        while True:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            if self._form:
                self._feed(chunk)
            else:
                self._ready += chunk
            if len(self._ready) >= AT_ONCE:
                await self._flush()
        await self._flush()
        if self._form and not self._ended:
            raise Unreadable("the form was cut short")
        if self._form and not self._had_file:
            raise Unreadable("the form has no file")

    async def _flush(self) -> None:
        data, self._ready = bytes(self._ready), bytearray()
        if data:
            await asyncio.to_thread(self._writing.write, data)

    def _feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise Unreadable(f"the form is broken: {str(error)[:100]}") from None

    def _callbacks(self) -> Mapping[str, Callable[..., None]]:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._headers, self._field, self._text, self._in_file = {}, None, bytearray(), False

    def _header_end(self) -> None:
        self._headers[self._header.decode("latin-1").lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        if b"filename" in options and not self._had_file:
            self._in_file = self._had_file = True
            self.name = options[b"filename"].decode("utf-8", "replace")
        elif b"filename" not in options and len(self.fields) < MOST_FIELDS:
            self._field = options.get(b"name", b"").decode("utf-8", "replace")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._ready += data[start:end]
        elif self._field is not None:
            self._text += data[start:end]
            if len(self._text) > MOST_FIELD:
                raise TooLarge(f"a field of the form has at most {MOST_FIELD} bytes")

    def _part_end(self) -> None:
        if self._field is not None:
            with suppress(UnicodeDecodeError):
                self.fields[self._field] = self._text.decode("utf-8")
        self._in_file, self._field = False, None

    def _end(self) -> None:
        self._ended = True
