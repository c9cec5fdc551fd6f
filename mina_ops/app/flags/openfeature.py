"""An OpenFeature provider over the flags of this app; needs the extra `openfeature`.

It has no thread of its own: the heartbeat tells it what changed, and the SDK's own pool calls
the handlers. That pool does not survive a fork, so set the provider in the worker, not in a
preloading parent; evaluation itself works either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import FlagNotFoundError, GeneralError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import AbstractProvider, Metadata

from mina_ops.app.flags.evaluate import Undecided
from mina_ops.app.flags.events import FlagEvent
from mina_ops.app.flags.openfeature_answers import resolve

if TYPE_CHECKING:
    from mina_ops.app.flags.component import Flags

_T = TypeVar("_T")


class MinaOpsProvider(AbstractProvider):
    """``api.set_provider_and_wait(MinaOpsProvider(ops.flags))``.

    The targeting key is the unit, other attributes of the context are what rules look at.
    """

    def __init__(self, flags: Flags) -> None:
        super().__init__()
        self._flags = flags

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Follow the flags; ready at once, and stale if they are."""
        self._flags.watch(self._told)

    def shutdown(self) -> None:
        """Stop following the flags."""
        self._flags.unwatch(self._told)

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="mina_ops")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """A boolean; a flag without variants is one."""
        return self._resolve(flag_key, default_value, (bool,), evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """A variant's string."""
        return self._resolve(flag_key, default_value, (str,), evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """A variant's whole number."""
        return self._resolve(flag_key, default_value, (int,), evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """A variant's number."""
        return self._resolve(flag_key, default_value, (int, float), evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[Any] | Mapping[str, Any],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Any]:
        """A variant's object."""
        return self._resolve(flag_key, default_value, (dict,), evaluation_context)

    def _told(self, event: FlagEvent) -> None:
        details = ProviderEventDetails(flags_changed=sorted(event.changed), message=event.reason)
        if event.kind == "changed":
            self.emit_provider_configuration_changed(details)
        elif event.kind == "stale":
            self.emit_provider_stale(details)
        else:
            self.emit_provider_ready(details)

    def _resolve(
        self, key: str, default: _T, kinds: tuple[type, ...], context: EvaluationContext | None
    ) -> FlagResolutionDetails[_T]:
        unit = context.targeting_key if context else None
        attributes = context.attributes if context else {}
        try:
            decision = self._flags.decision(key, unit, attributes)
        except Undecided as exc:
            raise GeneralError(str(exc)) from exc
        if decision is None:
            raise FlagNotFoundError(f"No flag {key[:128]!r}.")
        answer = resolve(self._flags.cache.snapshot.flags.get(key), decision)
        value: Any = answer.value if answer.has_value else default
        if answer.has_value and type(value) not in kinds:
            raise TypeMismatchError(f"Flag {key!r} holds a {type(value).__name__}.")
        if answer.has_value and float in kinds:
            value = float(value)
        return FlagResolutionDetails(
            value=value,
            variant=answer.variant if answer.has_value else None,
            reason=answer.reason,
            flag_metadata=dict(answer.metadata),
        )
