"""Sealed secrets open under their own key, for their own purpose, unchanged. The master key file is made once."""

import base64
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from authservice.security.master_key import FILE_NAME, MasterKeyUnusable, load_or_create
from authservice.security.sealing import CannotOpen, Sealer, master_key_from_secret

OLD, NEW = b"old-master-key-canary-32-bytes-0", b"new-master-key-canary-32-bytes-0"
SECRET, PURPOSE = b"secret-canary", "password-pepper"


def test_a_sealed_secret_opens_and_does_not_show() -> None:
    sealed = Sealer((OLD,)).seal(SECRET, PURPOSE)
    assert SECRET not in sealed
    assert OLD not in sealed
    assert Sealer((OLD,)).open(sealed, PURPOSE) == SECRET


@pytest.mark.parametrize("secret", [b"", b"\0", b"x" * 4096])
def test_a_secret_of_any_length_opens_unchanged(secret: bytes) -> None:
    sealer = Sealer((OLD,))
    assert sealer.open(sealer.seal(secret, PURPOSE), PURPOSE) == secret


def test_the_same_secret_is_never_sealed_the_same_way_twice() -> None:
    sealer = Sealer((OLD,))
    assert len({sealer.seal(SECRET, PURPOSE) for _ in range(1000)}) == 1000


def test_y6_while_keys_are_rotated_old_and_new_servers_open_what_they_can() -> None:
    before, during, after = Sealer((OLD,)), Sealer((NEW, OLD)), Sealer((NEW,))
    old = before.seal(SECRET, PURPOSE)
    assert during.open(old, PURPOSE) == SECRET
    resealed = during.seal(during.open(old, PURPOSE), PURPOSE)
    assert after.open(resealed, PURPOSE) == SECRET
    with pytest.raises(CannotOpen):
        before.open(resealed, PURPOSE)


def test_y6_an_old_key_removed_too_early_is_named_with_what_to_do() -> None:
    old = Sealer((OLD,)).seal(SECRET, PURPOSE)
    with pytest.raises(CannotOpen) as refused:
        Sealer((NEW,)).open(old, PURPOSE)
    text = str(refused.value)
    assert PURPOSE in text
    assert "authservice keys rewrap" in text
    assert "canary" not in text
    assert old.hex() not in text


def test_a_secret_does_not_open_for_another_purpose() -> None:
    sealer = Sealer((OLD,))
    sealed = sealer.seal(SECRET, PURPOSE)
    for purpose in ("refresh-tokens", "", PURPOSE.upper(), PURPOSE + " "):
        with pytest.raises(CannotOpen):
            sealer.open(sealed, purpose)


def test_a_changed_cut_or_lengthened_secret_does_not_open() -> None:
    sealer = Sealer((NEW, OLD))
    sealed = sealer.seal(SECRET, PURPOSE)
    changed = [sealed[:length] for length in range(len(sealed))] + [sealed + b"\0", sealed * 2]
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(flipped))
    for text in changed:
        with pytest.raises(CannotOpen):
            sealer.open(text, PURPOSE)


@pytest.mark.parametrize("keys", [(), (b"",), (OLD[:31],), (OLD + b"0",), (NEW, b"short")])
def test_y4_a_master_key_of_another_length_is_refused(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(keys)


def test_l1_master_keys_do_not_show_when_printed() -> None:
    assert "canary" not in repr(Sealer((NEW, OLD)))


def test_the_key_derived_from_the_shared_secret_is_stable_and_is_not_the_secret() -> None:
    secret = b"jwt-secret-canary-of-thirty-two-b"
    derived = master_key_from_secret(secret)
    assert derived == master_key_from_secret(secret)
    assert len(derived) == 32
    assert derived != secret[:32]
    assert derived != master_key_from_secret(secret + b"x")
    # A change of the derivation would make every existing installation unreadable.
    assert derived.hex() == "43a393c92d92efab60bb20dbdfe65614dd5f25650e57dd38c8ba629a36918f45"


def test_the_master_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    key = load_or_create(folder)
    assert len(key) == 32
    assert load_or_create(folder) == key
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [FILE_NAME], "no drafts are left"


def test_the_master_key_file_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_create(tmp_path / "data")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "data" / FILE_NAME).stat().st_mode) == 0o600


def test_two_folders_have_two_keys(tmp_path: Path) -> None:
    assert load_or_create(tmp_path / "one") != load_or_create(tmp_path / "two")


def test_k8_a_draft_left_by_a_crash_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / f"master.{os.getpid()}").write_bytes(b"half a k")
    key = load_or_create(tmp_path)
    assert len(key) == 32
    assert load_or_create(tmp_path) == key


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    # Each waits for the last line of input, so that all of them create at the same moment.
    program = (
        "import sys, pathlib\n"
        "from authservice.security.master_key import load_or_create\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(load_or_create(pathlib.Path(sys.argv[1])).hex())\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0] for process in started}
    assert keys == {load_or_create(tmp_path / "data").hex() + "\n"}
    assert {process.returncode for process in started} == {0}


def test_threads_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    # Also two containers on one volume look like this: each of them may be process 1.
    for round_ in range(30):
        folder, start = tmp_path / str(round_), threading.Barrier(4)
        outcomes: list[bytes | Exception] = []

        def create(
            folder: Path = folder, start: threading.Barrier = start, into: list[bytes | Exception] = outcomes
        ) -> None:
            start.wait(20)
            try:
                into.append(load_or_create(folder))
            except Exception as error:
                into.append(error)

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == [load_or_create(folder)] * 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"not base64!",
        base64.b64encode(b"k" * 31),
        base64.b64encode(b"k" * 33),
        base64.b64encode(b"k" * 32)[:43],
        b"k" * 32,
        bytes(range(224, 256)),
    ],
    ids=["empty", "blank", "text", "31 bytes", "33 bytes", "cut", "raw ASCII", "raw bytes"],
)
def test_k8_a_master_key_file_that_holds_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(MasterKeyUnusable, match="Restore it from a backup") as refused:
        load_or_create(tmp_path)
    assert str(path) in str(refused.value)
    assert path.read_bytes() == content, "it is never replaced"
