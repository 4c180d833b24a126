"""The texts of mails: string.Template, one pair of files for each kind, any of which a folder may replace.

`reset.txt` begins with the line `Subject: ...` and an empty one; `reset.html` is the body of the same mail, which
`frame.html` goes around. `link.txt` and `link.html` say what to do with a token where mails have links, `code.txt` and
`code.html` where they have none.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from authservice.domain.mail import MailKind

OWN = Path(__file__).parent / "templates"
EVERYWHERE = frozenset({"service", "time", "until"})
"""What every template may name: `time` is when the mail was written, `until` is when what is in it is over."""
WITH_TOKEN = (MailKind.RESET, MailKind.VERIFY_EMAIL, MailKind.CHANGE_EMAIL_NEW, MailKind.INVITATION)
"""Those that hold a token. They name nobody: whoever registers chooses a name, and the address need not be theirs."""
FACTS: Mapping[MailKind, frozenset[str]] = {
    **dict.fromkeys(WITH_TOKEN, frozenset({"what_to_do"})),
    MailKind.CHANGE_EMAIL_OLD: frozenset({"user_name"}),
    MailKind.EMAIL_CHANGED: frozenset({"user_name"}),
    MailKind.PASSWORD_CHANGED: frozenset({"user_name"}),
    MailKind.FACTOR_CHANGED: frozenset({"user_name", "change"}),
    MailKind.NEW_SIGN_IN: frozenset({"user_name", "client", "network"}),
    MailKind.REGISTERED_AGAIN: frozenset({"user_name"}),
    MailKind.ACCOUNT_DELETED: frozenset({"user_name", "erase_time"}),
}
"""What the templates of each kind may name beside."""
_PARTS = {"link": frozenset({"token", "link"}), "code": frozenset({"token"})}
_SUBJECT = re.compile(r"Subject: ([^\r\n]+)\n\n")


class TemplatesUnfit(Exception):
    """Templates cannot be used. The text names each and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a mail says."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


class Templates:
    """Fills templates. Lives as long as the process.

    Args:
        folder: files in it replace ours of the same name.
        link_base: where the pages of the front end are, without the slash at the end; empty where there are none.
        service: what the service is called in mails.
    """

    def __init__(self, folder: Path | None = None, link_base: str = "", service: str = "authservice") -> None:
        self._folder, self._link_base, self._service = folder, link_base.rstrip("/"), service
        self._texts = {name: self._read(name) for name in _names()}
        if problems := list(self._problems()):
            raise TemplatesUnfit("; ".join(problems))

    def fill(self, kind: MailKind, facts: Mapping[str, str]) -> Page:
        """Return what a mail says. In HTML nothing that a fact holds is markup."""
        given = {**facts, "service": self._service}
        safe = {name: html.escape(value) for name, value in given.items()}
        if token := facts.get("token"):
            given["what_to_do"] = self._what_to_do(kind, token, "txt").rstrip("\n")
            safe["what_to_do"] = self._what_to_do(kind, token, "html")
        text = self._texts[f"{kind.value}.txt"].substitute(given)
        subject = _SUBJECT.match(text)
        assert subject
        body = self._texts[f"{kind.value}.html"].substitute(safe)
        framed = self._texts["frame.html"].substitute(safe, subject=html.escape(subject[1]), body=body)
        return Page(subject[1], text[subject.end() :], framed)

    def _what_to_do(self, kind: MailKind, token: str, form: str) -> str:
        if not self._link_base:
            return self._texts[f"code.{form}"].substitute(token=token)
        # The token needs no quoting: its characters are those of base64url, and dots.
        link = f"{self._link_base}/{kind.value.replace('_', '-')}?token={token}"
        quote = html.escape if form == "html" else str
        return self._texts[f"link.{form}"].substitute(token=token, link=quote(link))

    def _read(self, name: str) -> Template:
        replaced = self._folder / name if self._folder else None
        try:
            return Template((replaced if replaced and replaced.exists() else OWN / name).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise TemplatesUnfit(f"{replaced}: {getattr(error, 'strerror', None) or 'is not UTF-8 text'}") from None

    def _problems(self) -> Iterator[str]:
        for name, template in self._texts.items():
            stem, _, form = name.partition(".")
            known = _known(stem)
            if not template.is_valid():
                yield f"{name}: a $ that begins no name has to be written $$"
            elif strange := set(template.get_identifiers()) - known:
                yield f"{name}: knows no ${', $'.join(sorted(strange))}; it may name ${', $'.join(sorted(known))}"
            if form == "txt" and stem not in _PARTS and not _SUBJECT.match(template.template):
                yield f"{name}: has to begin with a line `Subject: ...` and an empty line"
        for stem in self._strangers():
            yield f"{stem}: is the name of no template"

    def _strangers(self) -> list[str]:
        there = self._folder.iterdir() if self._folder else ()
        return sorted({path.name for path in there if path.suffix in {".txt", ".html"}} - set(_names()))


def _names() -> list[str]:
    stems = (*_PARTS, *(kind.value for kind in FACTS))
    return ["frame.html", *(f"{stem}.{form}" for stem in stems for form in ("txt", "html"))]


def _known(stem: str) -> frozenset[str]:
    if stem == "frame":
        return EVERYWHERE | {"subject", "body"}
    return _PARTS[stem] if stem in _PARTS else EVERYWHERE | FACTS[MailKind(stem)]
