"""`authservice explain`: why an access token is accepted or refused."""

import sys
from datetime import datetime, timedelta
from pathlib import Path

import click
from authclient._judging.rules import Rule, RuleRejected, rule_of
from authclient.lint import Unreadable, methods_of, read

from authservice.cli.asking import pasted_secret
from authservice.cli.opening import deadline, service
from authservice.cli.printing import as_json, show
from authservice.domain.check import Check
from authservice.domain.tokens import Identity

LEEWAY = timedelta(seconds=30)
PIPE_IT = "Pipe it: authservice explain < token.txt"
_VERDICTS = {True: "yes", False: "NO", None: "-"}


# Extra arguments are let in so that click does not print them: one would be the token.
@click.command(context_settings={"allow_extra_args": True})
@click.option("--method", metavar="/PACKAGE.SERVICE/METHOD", help="Also judge the caller by the rule of this method.")
@click.option(
    "--descriptor-set", type=click.Path(path_type=Path), metavar="FILE", help="Where the method is described."
)
@click.option("--server", metavar="HOST:PORT", help="The same, by the reflection of a running server.")
@click.option("--ca-file", type=click.Path(path_type=Path), metavar="FILE", help="Speak TLS to that server.")
@click.option("--insecure", is_flag=True, help="Speak plaintext to that server on another machine.")
@as_json
def explain(
    method: str | None,
    descriptor_set: Path | None,
    server: str | None,
    ca_file: Path | None,
    insecure: bool,
    as_json: bool,
) -> None:
    """Say, check by check, why an access token is accepted or refused.

    The token is read from standard input, where no other user of this machine can see it. Exit code 1 if it is refused.
    """
    if click.get_current_context().args:
        raise click.UsageError(f"There are no arguments: other users of this machine could see the token. {PIPE_IT}")
    if method and not (descriptor_set or server):
        raise click.UsageError("--method needs --descriptor-set or --server, to know the method's rule.")
    if not method and (descriptor_set or server):
        raise click.UsageError("--descriptor-set and --server need --method, to know whose rule to judge by.")
    rule = _rule(_full_name(method), descriptor_set, server, ca_file, insecure) if method else None
    # Whatever else than a token is pasted, the first check says so.
    token = pasted_secret("Paste the token (it is not shown) and press Enter").strip().removeprefix("Bearer ")
    if not token:
        raise click.UsageError(f"No token was read: the first line of standard input is empty. {PIPE_IT}")
    with service() as opened:
        checks, identity = opened.auth.explain(token, deadline())
        now = opened.parts.clock()
    if isinstance(rule, Check):
        checks.append(rule)
    elif rule is not None:
        checks += rule_checks(rule, identity, now)
    rows = [(check.name, _VERDICTS[check.passed], check.detail) for check in checks]
    show(("check", "passed", "detail"), rows, as_json)
    refuses_nobody = isinstance(rule, Rule) and (rule.is_public or rule.observe)
    if any(check.passed is False for check in checks) and not refuses_nobody:
        sys.exit(1)


def _full_name(method: str) -> str:
    """Return the name as gRPC has it, `/package.Service/Method`, of one that may be written with dots."""
    service_name, _, name = method.strip("/").replace("/", ".").rpartition(".")
    return f"/{service_name}/{name}"


def _rule(
    method: str, descriptor_set: Path | None, server: str | None, ca_file: Path | None, insecure: bool
) -> Rule | Check:
    try:
        methods = methods_of(read(descriptor_set, server, ca_file, insecure))
    except Unreadable as error:
        raise click.ClickException(str(error)) from None
    if method not in methods:
        raise click.ClickException(f"There is no {method} there. It has {', '.join(sorted(methods)) or 'no method'}.")
    try:
        return rule_of(methods[method].options)
    except RuleRejected as rejected:
        return Check("rule", False, f"{rejected}; the method is refused to everybody")


def rule_checks(rule: Rule, identity: Identity | None, now: datetime) -> list[Check]:
    """Return what each part of a method's rule has come to."""
    if rule.is_public:
        return [Check("rule", True, "public: no token is looked at")]
    if identity is None:
        return [Check("rule", None, "nobody is there to be judged by it")]
    checks = [Check("rule", True, "observes only: refusals are counted" if rule.observe else "is enforced")]
    if rule.any_role:
        held = sorted(rule.any_role.intersection(identity.roles))
        has = f"has {', '.join(held)}" if held else f"has {', '.join(identity.roles) or 'none'}"
        checks.append(Check("role", bool(held), f"needs one of {', '.join(sorted(rule.any_role))}; {has}"))
    if rule.mfa:
        checks.append(Check("mfa", "mfa" in identity.auth_methods, f"logged in by {', '.join(identity.auth_methods)}"))
    if rule.max_auth_age is not None:
        age = now - identity.authenticated_at
        recent = age - LEEWAY <= timedelta(seconds=rule.max_auth_age)
        checks.append(Check("login age", recent, f"{age.total_seconds():.0f} s; at most {rule.max_auth_age:.0f} s"))
    if rule.max_staleness is not None:
        checks.append(Check("freshness", True, f"judged by a view of at most {rule.max_staleness:g} s, else by Verify"))
    return checks
