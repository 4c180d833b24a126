"""`authservice users grant`, `revoke` and `roles`."""

import click

from authservice.cli.naming import require_names
from authservice.cli.opening import deadline, service
from authservice.cli.printing import as_json, show


@click.command("grant")
@click.argument("name")
@click.argument("role")
def grant_role(name: str, role: str) -> None:
    """Give the account NAME the role ROLE.

    Access tokens that the user has are outdated at once, on every server; refreshing brings one with the role.
    """
    require_names(name, role)
    with service() as opened:
        granted = opened.admin.operate_users.grant(name, role, deadline())
        held = opened.admin.operate_users.roles(deadline())
    click.echo(f"User {name} {'now has' if granted else 'already had'} the role {role}.")
    if granted and held.get(role) == 1:
        others = ", ".join(other for other in held if other != role)
        click.echo(f"Nobody else has it. {f'Roles that somebody has: {others}.' if others else ''}".rstrip(), err=True)


@click.command("roles")
@as_json
def list_roles(as_json: bool) -> None:
    """List the roles that somebody has, one a line, as `authclient lint --roles-file` reads them."""
    with service() as opened:
        held = opened.admin.operate_users.roles(deadline())
    if as_json:
        show(("role", "users"), list(held.items()), as_json)
    else:
        for role in held:
            click.echo(role)


@click.command("revoke")
@click.argument("name")
@click.argument("role")
def revoke_role(name: str, role: str) -> None:
    """Take the role ROLE from the account NAME. Access tokens with it are outdated at once, on every server."""
    require_names(name, role)
    with service() as opened:
        taken = opened.admin.operate_users.take(name, role, deadline())
    click.echo(f"User {name} {'no longer has' if taken else 'did not have'} the role {role}.")
