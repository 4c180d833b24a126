"""What a shell offers after `authclient`."""

import shutil
import subprocess

import pytest
from authclient import command

BASH = shutil.which("bash")
COMPLETE = """\
set -u
{script}
COMP_WORDS=({words}) COMP_CWORD={position}
COMPREPLY=()
_authclient authclient "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]:-}}"
complete -p authclient
"""
LINT = {"--help", "--descriptor-set", "--server", "--ca-file", "--insecure", "--role", "--roles-file"}


def printed(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert command.main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.skipif(BASH is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ([""], {"lint", "login", "completion", "--help", "--version"}),
        (["--v"], {"--version"}),
        (["l"], {"lint", "login"}),
        (["lint", ""], LINT),
        (["lint", "--ro"], {"--role", "--roles-file"}),
        (["lint", "--insecure", "--s"], {"--server"}),
        (["lint", "--descriptor-set", ""], set()),
        (["lint", "--role", "--"], set()),
        (["completion", "z"], {"zsh"}),
        (["frobnicate", ""], set()),
    ],
)
def test_bash_offers_what_may_stand_there(
    typed: list[str], offered: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = " ".join(f"'{word}'" for word in ("authclient", *typed))
    program = COMPLETE.format(script=printed("bash", capsys), words=words, position=len(typed))
    done = subprocess.run([str(BASH), "-c", program], capture_output=True, text=True, check=True)
    *found, registered = done.stdout.splitlines()
    assert set(found) - {""} == offered
    assert registered == "complete -o default -F _authclient authclient", "files are completed where nothing is offered"


def test_zsh_takes_what_bash_does(capsys: pytest.CaptureFixture[str]) -> None:
    script = printed("zsh", capsys)
    assert "bashcompinit" in script
    assert script.endswith(printed("bash", capsys))


def test_fish_is_told_of_each_verb_and_option_with_quotes_that_close(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("fish", capsys).splitlines()
    assert all(line.startswith("complete -c authclient ") for line in lines)
    for option in LINT - {"--help"}:
        assert any(f"from lint' -l {option[2:]} " in line for line in lines), option
    for line in lines:
        assert line.replace("\\'", "").count("'") % 2 == 0, line


def test_an_unknown_shell_is_a_wrong_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["completion", "tcsh"])
    assert end.value.code == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
