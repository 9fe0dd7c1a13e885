"""Sealing and opening the values of one field of one tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prismicx.errors import Conflict, Denied, PrismicXError
from prismicx.sealing.fields import SEARCH, Field
from prismicx.sealing.keyset import Keyset, cannot_open
from prismicx.sealing.keysets import LOG, Keysets
from prismicx.sealing.values import PartlyOpened, Sealed, Spot, beginning_of, is_sealed, parse


@dataclass(frozen=True, slots=True)
class Writer:
    """Seals at once, with keysets that were opened before."""

    tenant_id: str
    field: Field
    keyset: Keyset
    search: Keyset | None

    def seal(self, row: object, name: str, value: Any) -> str:
        """A JSON value as it is stored."""
        spot = Spot(self.tenant_id, self.field, str(row), name)
        digest = self.search.digests(spot, value)[0] if self.search is not None else "-"
        return self.keyset.seal(spot, value, digest)

    def is_current(self, sealed: Sealed) -> bool:
        """Whether the keys that seal now sealed it."""
        return sealed.key_id == self.keyset.primary and sealed.search_key_id == (
            self.search.primary if self.search is not None else None
        )


class Sealer:
    """Seals and opens values of a field. Whatever it needs the key service for may raise as `Keysets.open`."""

    __slots__ = ("_field", "_keysets", "_tenant_id")

    def __init__(self, keysets: Keysets, tenant_id: str, field: Field) -> None:
        self._keysets = keysets
        self._tenant_id = tenant_id
        self._field = field

    async def writer(self) -> Writer:
        """What seals values; its keysets are made when there are none."""
        keyset = await self._keysets.make(self._tenant_id, self._field.data_class)
        search = await self._keysets.make(self._tenant_id, SEARCH) if self._field.searchable else None
        return Writer(self._tenant_id, self._field, keyset, search)

    async def seal(self, row: object, name: str, value: Any) -> str:
        """A JSON value as it is stored."""
        return (await self.writer()).seal(row, name, value)

    async def open(self, row: object, name: str, text: object) -> Any:
        """The value of a sealed text.

        Raises:
            Denied: ``keys.cannot_open`` for what was not sealed here.
        """
        spot = Spot(self._tenant_id, self._field, str(row), name)
        data_class = self._field.data_class
        keyset = self._keysets.known(self._tenant_id, data_class)
        if keyset is None:
            keyset = await self._keysets.open(self._tenant_id, data_class)
        sealed = parse(text)
        if sealed is not None and (keyset is None or sealed.key_id not in keyset.key_ids):
            keyset = await self._keysets.with_key(self._tenant_id, data_class, sealed.key_id)
        try:
            if keyset is None:
                raise cannot_open(spot)
            return keyset.open_parsed(spot, sealed)
        except Denied as error:
            LOG.warning("%s", error.message)
            raise

    async def opened(
        self, row: object, values: Mapping[str, Any], names: Iterable[str] | None = None
    ) -> Mapping[str, Any]:
        """Values with what is sealed among them opened. What does not open raises when it is asked for, the rest is
        there.

        Args:
            names: which of them may be sealed; all unless given.
        """
        sealed = [name for name in (values if names is None else names) if is_sealed(values.get(name))]
        if not sealed:
            return values
        found, errors = dict(values), {}
        for name in sealed:
            try:
                found[name] = await self.open(row, name, values[name])
            except PrismicXError as error:
                errors[name] = error
        return PartlyOpened(found, errors) if errors else found

    async def refreshed(self, row: object, name: str, text: str) -> str:
        """The same value under the keys that seal now, if that takes no question to the key service; else as it is."""
        sealed, keyset = parse(text), self._keysets.known(self._tenant_id, self._field.data_class)
        search = self._keysets.known(self._tenant_id, SEARCH) if self._field.searchable else None
        if sealed is None or keyset is None or sealed.key_id not in keyset.key_ids:
            return text
        writer = Writer(self._tenant_id, self._field, keyset, search)
        if writer.is_current(sealed) or (self._field.searchable and search is None):
            return text
        return writer.seal(row, name, await self.open(row, name, text))

    async def renewed(self, row: object, name: str, value: Any) -> str | None:
        """A stored value, sealed or plain, under the keys that seal now; None where it is, or where it does not
        open."""
        writer = await self.writer()
        if is_sealed(value):
            sealed = parse(value)
            if sealed is None or writer.is_current(sealed):
                return None
            try:
                value = await self.open(row, name, value)
            except Denied:
                return None
        return writer.seal(row, name, value)

    async def beginnings(self, name: str, value: Any) -> list[str]:
        """How sealed texts of this value begin, in whatever row; none when nothing was ever sealed.

        It is found by a keyed hash, so whoever reads the database sees which values are equal.
        """
        search = await self._keysets.current(self._tenant_id, SEARCH)
        if search is None:
            return []
        digests = search.digests(Spot(self._tenant_id, self._field, "", name), value)
        return [beginning_of(self._field.data_class, digest) for digest in digests]

    async def check_still_kept(self, writer: Writer) -> None:
        """See that what a writer sealed a while ago will open.

        Raises:
            Conflict: ``keys.rotated`` when its key was retired meanwhile.
        """
        document = await self._keysets.document(self._tenant_id, self._field.data_class)
        if document is None or writer.keyset.primary not in document["key_ids"]:
            raise Conflict(
                "keys.rotated", f"the keys of {self._tenant_id} were rotated while this went on", "do it once more"
            )
