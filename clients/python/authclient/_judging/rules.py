"""Who may call a method: the `(authapi.v1.rule)` option of a .proto, read once and checked for sense."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

from authapi.v1 import rule_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

EXEMPT_SERVICES = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
)
"""Services whose .proto belongs to nobody here. Whoever registers them lets everybody call their methods."""

EXEMPT_METHODS = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)
"""The methods of these services. Whatever else is called by the name of such a service needs a rule."""

_ROLE_NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}", re.ASCII)


class RuleRejected(ValueError):
    """A rule says nothing, contradicts itself, or asks for what is not known here. The text says how."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call one method.

    Args:
        is_public: anyone, without any check.
        any_role: one of these roles is needed; empty if none is.
        mfa: a login with more than one factor is needed.
        max_auth_age: seconds since the caller proved who they are, at most.
        max_staleness: seconds that the knowledge of revocations may be old; 0 asks each time. None leaves it to the
            interceptor.
        observe: refusals are counted only.
    """

    is_public: bool = False
    any_role: frozenset[str] = frozenset()
    mfa: bool = False
    max_auth_age: float | None = None
    max_staleness: float | None = None
    observe: bool = False

    @property
    def judges_what_changes(self) -> bool:
        """Whether it asks for what may change about a user while their session lives: roles, or a second factor."""
        return bool(self.any_role) or self.mfa


def read_rule(option: rule_pb2.Rule) -> Rule:
    """Return the rule that an option states. Raises RuleRejected."""
    # What is not understood may be what narrows the rule down.
    if any(len(UnknownFieldSet(part)) for part in _parts(option)):
        raise RuleRejected("the rule has fields that this version does not know; upgrade authclient")
    who = [option.public, option.authenticated, bool(option.any_role)].count(True)
    if who != 1:
        raise RuleRejected("exactly one of public, authenticated and any_role must say who may call")
    if option.public and option != rule_pb2.Rule(public=True):
        raise RuleRejected("public cannot be narrowed down; take it or the other fields away")
    for role in option.any_role:
        check_role_name(role)
    if len(set(option.any_role)) != len(option.any_role):
        raise RuleRejected("a role stands twice in any_role")
    max_auth_age = _seconds(option, "max_auth_age")
    if max_auth_age is not None and (max_auth_age <= 0 or max_auth_age % 1):
        raise RuleRejected("max_auth_age must be positive, in whole seconds")
    max_staleness = _seconds(option, "max_staleness")
    if max_staleness is not None and max_staleness < 0:
        raise RuleRejected("max_staleness must not be negative")
    return Rule(option.public, frozenset(option.any_role), option.mfa, max_auth_age, max_staleness, option.observe)


def check_role_name(role: str) -> None:
    """Raise RuleRejected unless a role can have this name."""
    if not _ROLE_NAME.fullmatch(role):
        raise RuleRejected(f"{role!r} is no role name: a lower-case letter, then at most 63 of a-z 0-9 . _ -")


def rule_of(options: MethodOptions) -> Rule:
    """Return the rule of the method that has these options. Raises RuleRejected, also if it has none."""
    if not options.HasExtension(rule_pb2.rule):
        raise RuleRejected("there is no (authapi.v1.rule) option")
    return read_rule(options.Extensions[rule_pb2.rule])


def check_roles(rule: Rule, roles: Collection[str]) -> None:
    """Raise RuleRejected if a rule names a role that is not one of `roles`."""
    if unknown := rule.any_role.difference(roles):
        raise RuleRejected(f"unknown role {', '.join(sorted(unknown))}")


DESCRIBED_TWICE = "it is described twice, in two files that define the same service"


class Policy:
    """The rules of a service's methods. Immutable.

    In a test of the service, `assert not Policy(orders_pb2.DESCRIPTOR, roles={"support"}).rejected` is a lint.

    Args:
        files: descriptors of the .proto files that define the services, such as `orders_pb2.DESCRIPTOR`.
        roles: the names that exist; a rule that names another one is not usable. None leaves names unchecked.

    Attributes:
        rejected: what is wrong with the methods that have no usable rule, by their full name. They are refused to
            everybody.

    Raises:
        ValueError: there is no file, so that nobody could call anything.
        TypeError: something is not the descriptor of a file, or the roles are one text.
    """

    def __init__(self, *files: FileDescriptor, roles: Collection[str] | None = None) -> None:
        if not files:
            raise ValueError("give the descriptors of your .proto files, such as orders_pb2.DESCRIPTOR")
        for file in files:
            _check_file(file)
        if isinstance(roles, str):
            raise TypeError(f"roles is {roles!r}; write a set of names, such as {{{roles!r}}}")
        self._services = {service.full_name for file in files for service in file.services_by_name.values()}
        self._rules: dict[str, Rule] = {}
        self.rejected: dict[str, str] = {}
        for name, method in _methods(dict.fromkeys(files)):
            if name in self._rules or name in self.rejected:
                # Two files that differ, and either may be the one that the server goes by.
                self._rules.pop(name, None)
                self.rejected[name] = DESCRIBED_TWICE
                continue
            try:
                rule = rule_of(method.GetOptions())
                if roles is not None:
                    check_roles(rule, roles)
            except RuleRejected as rejected:
                self.rejected[name] = str(rejected)
            else:
                self._rules[name] = rule

    def rule(self, method: str) -> Rule | None:
        """Return the rule of `/package.Service/Method`, or None if it is to be refused."""
        return self._rules.get(method)

    def fault(self, method: str) -> str:
        """Return why a method without a usable rule is refused to everybody."""
        service = method.removeprefix("/").rpartition("/")[0]
        if service in self._services:
            return self.rejected.get(method, f"there is no such method in the file that describes {service}")
        return _missing_file(service)

    @property
    def rules(self) -> Mapping[str, Rule]:
        """Every usable rule by the full name of its method."""
        return self._rules


def _missing_file(service: str) -> str:
    """Return what to give the guard, so that it knows the rules of a service."""
    try:
        file = descriptor_pool.Default().FindServiceByName(service).file.name
    except KeyError:
        return f"the .proto file of the service {service} is not among those of the guard; add its DESCRIPTOR there"
    return f"{file} is not among the files of the guard; add {_module(file)}.DESCRIPTOR there"


def _module(file: str) -> str:
    """Return the name of the module that protoc makes of a file."""
    return file.rpartition("/")[2].removesuffix(".proto").replace("-", "_") + "_pb2"


def method_name(method: MethodDescriptor) -> str:
    """Return the name of a method as a call spells it."""
    service: ServiceDescriptor = method.containing_service
    return f"/{service.full_name}/{method.name}"


def _methods(files: Iterable[FileDescriptor]) -> Iterator[tuple[str, MethodDescriptor]]:
    for file in files:
        for service in file.services_by_name.values():
            for method in service.methods:
                yield method_name(method), method


def _check_file(file: object) -> None:
    if isinstance(file, FileDescriptor):
        return
    if isinstance(file, Iterable) and not isinstance(file, str | bytes):
        raise TypeError(
            "a list of files was given where each file is one argument: write a star before it, as in *files"
        )
    name = f"{file.__name__.rpartition('.')[2]}.DESCRIPTOR" if isinstance(file, ModuleType) else "orders_pb2.DESCRIPTOR"
    raise TypeError(f"{file!r} is no descriptor of a file: pass {name}")


def _parts(message: Message) -> Iterator[Message]:
    """Yield a message and every message inside it."""
    yield message
    for _, value in message.ListFields():
        if isinstance(value, Message):
            yield from _parts(value)


def _seconds(option: rule_pb2.Rule, field: str) -> float | None:
    if not option.HasField(field):  # type: ignore[arg-type]
        return None
    value = getattr(option, field)
    return float(value.seconds + value.nanos / 1e9)
