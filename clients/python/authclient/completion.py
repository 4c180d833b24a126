"""Completion of the command `authclient` in a shell, made of what its parser knows.

eval "$(authclient completion bash)"
"""

import argparse
from collections.abc import Iterator

SHELLS = ("bash", "fish", "zsh")
_BASH = """\
_authclient() {{
    case "$3" in
    {taking}) return ;;
    esac
    local words="{verbs}"
    if [ "$COMP_CWORD" -gt 1 ]; then
        case "${{COMP_WORDS[1]}}" in
{cases}
        *) words= ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$2"))
}}
complete -o default -F _authclient authclient
"""
"""Where nothing is offered, as after an option that takes a file, bash completes the name of a file."""
_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return what a shell has to run.

    Args:
        parser: of the command, with its verbs.
        shell: bash, fish or zsh.
    """
    if shell == "fish":
        return "".join(f"{line}\n" for line in _fish(parser))
    return (_ZSH if shell == "zsh" else "") + _bash(parser)


def _bash(parser: argparse.ArgumentParser) -> str:
    verbs = _verbs(parser)
    taking = {
        name for verb in verbs.values() for option in _options(verb) if _takes(option) for name in option.option_strings
    }
    cases = (f'        {name}) words="{" ".join(_words(verb))}" ;;' for name, verb in verbs.items())
    return _BASH.format(
        taking="|".join(sorted(taking)), verbs=" ".join([*verbs, *_words(parser)]), cases="\n".join(cases)
    )


def _fish(parser: argparse.ArgumentParser) -> Iterator[str]:
    verbs = _verbs(parser)
    for option in _options(parser):
        yield f"complete -c authclient -n __fish_use_subcommand {_described(option)}"
    for name, verb in verbs.items():
        yield f"complete -c authclient -f -n __fish_use_subcommand -a {name} -d {_quoted(verb.description)}"
        condition = f"-n '__fish_seen_subcommand_from {name}'"
        for option in _options(verb):
            yield f"complete -c authclient {condition} {_described(option)}"
        for choice in _choices(verb):
            yield f"complete -c authclient -f {condition} -a {choice}"


def _described(option: argparse.Action) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.option_strings)
    return f"{names} {'-r' if _takes(option) else '-f'} -d {_quoted(option.help)}"


def _quoted(text: str | None) -> str:
    """Return a text as fish quotes it."""
    escaped = (text or "").replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {
        name: verb
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, verb in action.choices.items()
    }


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.option_strings]


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    return [choice for action in parser._actions if not action.option_strings for choice in action.choices or ()]


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """Return what may stand after a verb. Options that are short for others are left out."""
    verbs = _verbs(parser)
    options = [option.option_strings[-1] for option in _options(parser)]
    return [*options, *(choice for choice in _choices(parser) if choice not in verbs)]


def _takes(option: argparse.Action) -> bool:
    return option.nargs != 0
