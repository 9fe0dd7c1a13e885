"""A look at tenants before their turn: between a plan, or an earlier run, and a wave, things may have changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prismicx.engines.postgres import Pool
from prismicx.errors import PrismicXError
from prismicx.fleet.drift import drifted, drifted_among
from prismicx.fleet.plan import check_state
from prismicx.fleet.runner import Runner, Where
from prismicx.fleet.values import Rollout
from prismicx.names import Names
from prismicx.tenants.registry import Registry


@dataclass(frozen=True, slots=True)
class Look:
    """Looks at the tenants of a rollout.

    Attributes:
        pool: of the login that reads over all tenants.
        system_type: of the system that is rolled out.
    """

    pool: Pool
    registry: Registry
    names: Names
    rollout: Rollout
    system_type: str
    runner: Runner

    async def ready(self, tenants: Sequence[str], *, schemas: bool) -> list[tuple[str, Where]]:
        """The tenants of a wave with where they are now. Those that must not be touched are written down as failed with
        what each would be told by itself, and count in no budget of errors: nothing was tried.

        Args:
            schemas: whether to look at their schemas, too.
        """
        here = await self.runner.now(tenants)
        refused = await self._refused(here, schemas)
        for tenant_id, error in refused.items():
            self.runner.told.failed += 1
            await self.runner.failed(tenant_id, error.code, error.message)
        if refused:
            self.runner.progress(self.runner.told)
        return [(tenant_id, where) for tenant_id, where in here.items() if tenant_id not in refused]

    async def _refused(self, here: Mapping[str, Where], schemas: bool) -> Mapping[str, PrismicXError]:
        found: dict[str, PrismicXError] = {}
        standing = await self.registry.standings(list(here))
        for tenant_id in here:
            try:
                check_state(tenant_id, standing.get(tenant_id, "inactive"))
            except PrismicXError as error:
                found[tenant_id] = error
        if not schemas or self.rollout.version is None or self.rollout.options.force:
            return found
        held = {
            name: version
            for name, (version, begun) in here.items()
            if version is not None and not begun and version != self.rollout.version and name not in found
        }
        suspects = await drifted_among(
            self.pool, self.names, self.rollout.system_id, self.system_type, held, self.rollout.options.concurrency
        )
        return found | {name: drifted(name, held[name]) for name in suspects}
