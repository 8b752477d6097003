"""A repository of the Hugging Face hub, through `huggingface_hub`: its cache, token, mirror and offline switch.

Only what is needed is fetched, its configuration first: a network of another family is refused before its weights come.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..spec.architectures import check_config
from ..spec.credentials import without_secrets
from ..spec.errors import UserError
from .files import read_json
from .opening import open_regular

CONFIG, CARD, SEEN_FILE = "config.json", "README.md", "seen.safetensors"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the first that there is: a pickle only for want of the other
BESIDE = ("preprocessor_config.json", SEEN_FILE, CARD)
_NOBODY = ("ConnectError", "ConnectTimeout", "ConnectionError")  # of whichever network library: nobody answered
_OFFLINE = ("1", "on", "yes", "true")


def fetch_repository(name: str, revision: str | None, where: str) -> Path:
    """The folder of a repository's files in the hub's cache; `where` is how it was named, for messages.

    Raises `UserError`, in one line, for one that is not there, not to be had, or not what it promises to be.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(f"{where}: a repository is named as hf://OWNER/REPO or hf://OWNER/REPO@REVISION")
    with _quiet():
        repository = _Repository(name, revision, where)
        config = repository.file(CONFIG)
        if config is not None:
            check_config(read_json(config), where)
        for weights in WEIGHTS:
            found = repository.file(weights)
            if found is not None:
                break
        else:
            raise UserError(f"{where}: it holds neither {WEIGHTS[0]} nor {WEIGHTS[1]}, so no weights that are read")
        for other in BESIDE:
            repository.file(other)
    return found.parent


class _Repository:
    """The files of one revision, fetched one by one: all of the same commit."""

    def __init__(self, name: str, revision: str | None, where: str) -> None:
        self.name, self.revision, self.where = name, revision, where
        self.offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in _OFFLINE
        self.common: dict[str, Any] = {"repo_id": name, "cache_dir": os.environ.get("HF_HUB_CACHE") or None}

    def file(self, name: str) -> Path | None:
        """Where the file lies, verified; None where the repository has none of that name."""
        import huggingface_hub as hub

        try:
            there = hub.try_to_load_from_cache(filename=name, revision=self.revision, **self.common)
            if self._fixed and there is not None:
                found = Path(there) if isinstance(there, str) else None  # else it is known that there is none
            else:
                found = self._download(name)
        except Exception as error:  # of its network library, too, which is none of ours
            self._missing(name, error)
            return None
        if found is None:
            return None
        self.revision = found.parent.name  # the commit: what comes after is of the same one
        return self._verified(found, name)

    @property
    def _fixed(self) -> bool:
        return self.revision is not None and re.fullmatch(r"[0-9a-f]{40}", self.revision) is not None

    def _download(self, name: str) -> Path:
        import huggingface_hub as hub

        endpoint = os.environ.get("HF_ENDPOINT") or None
        return Path(
            hub.hf_hub_download(
                filename=name, revision=self.revision, endpoint=endpoint, local_files_only=self.offline, **self.common
            )
        )  # fmt: skip

    def _verified(self, found: Path, name: str) -> Path:
        """A file whose content is what the hub promised; another one is fetched once more."""
        for last in (False, True):
            if _as_promised(found):
                return found
            for path in (_blob(found), found):
                path.unlink(missing_ok=True)
            if last or self.offline:
                break
            try:
                found = self._download(name)
            except Exception as error:
                self._missing(name, error)
        raise UserError(
            f"{self.where}: {name} is not what the repository promises (its digest differs); it was removed: "
            "run the command again"
        )

    def _missing(self, name: str, error: Exception) -> None:
        """Return where the repository has no such file; else raise the `UserError` that tells of the trouble."""
        from huggingface_hub import errors

        if isinstance(error, UserError):
            raise error
        if isinstance(error, errors.LocalEntryNotFoundError):
            cause = error.__cause__
            mute = self.offline or (self._fixed and type(cause).__name__ in _NOBODY)
            if mute and name != WEIGHTS[-1]:  # nobody says whether there is one: what the cache has must do
                return
            told = "not in the cache, and HF_HUB_OFFLINE forbids to fetch it"
            raise UserError(f"{self.where}: {told if self.offline else _reason(cause or error)}") from None
        headers = getattr(getattr(error, "response", None), "headers", {})
        if isinstance(error, errors.EntryNotFoundError) and headers.get("X-Error-Code") == "EntryNotFound":
            return
        raise UserError(f"{self.where}: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """In a few words, what the hub or the network said."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return "its owner must let you in; ask on its page, and log in with `hf auth login` or HF_TOKEN"
    if isinstance(error, errors.RevisionNotFoundError):
        return "there is no such revision; name a branch, a tag or a commit"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository, or it is private: HF_TOKEN says who asks"
    told = {401: "the hub wants to know who asks: HF_TOKEN", 429: "the hub has too many requests; wait a while"}
    if status in told:
        return told[status]
    if status is not None:
        return f"the hub says {status}; try again later"
    if "redirect" in f"{type(error).__name__} {error}".lower():
        return "the hub sends us on in a circle; look at HF_ENDPOINT"
    if "Consistency check" in str(error):
        return "what arrived is not as long as was promised; run the command again"
    first = without_secrets(str(error).strip().partition("\n")[0].partition(" (Request ID")[0])
    return f"it failed: {first or type(error).__name__}; run the command again"


def _blob(found: Path) -> Path:
    """What a file of a snapshot points to; itself where the cache has no links."""
    return found.parent / os.readlink(found) if found.is_symlink() else found


def _as_promised(found: Path) -> bool:
    """Whether a cached file has the digest that it bears as its name: a sha256, or git's own of small files."""
    promised = _blob(found).name
    if not re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", promised):
        return True
    with open_regular(found) as file:
        content = file.read()
    if len(promised) == 64:
        return hashlib.sha256(content).hexdigest() == promised
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == promised


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that its library logs: what is wrong is said once, by us. Progress goes to terminals alone."""
    try:
        importlib.import_module("huggingface_hub")
        utils: Any = importlib.import_module("huggingface_hub.utils")
    except ImportError:
        raise UserError("addresses that begin with hf:// need huggingface_hub: pip install huggingface_hub") from None
    before = utils.logging.get_verbosity()
    hidden = utils.are_progress_bars_disabled() or (sys.stderr is not None and sys.stderr.isatty())
    utils.logging.set_verbosity(50)  # the standard library's CRITICAL
    if not hidden:
        utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.logging.set_verbosity(before)
        if not hidden:
            utils.enable_progress_bars()


def upload(folder: Path, name: str, where: str, *, private: bool) -> str:
    """Put the files of `folder` into the repository `name`, which is made if it is not there; returns its page.

    Raises `UserError`, in one line, where the hub says no.
    """
    with _quiet():
        import huggingface_hub as hub

        try:
            api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
            url = api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(folder_path=folder, repo_id=name, commit_message="Upload a model with reslearn")
        except Exception as error:  # of its network library, too
            raise UserError(f"{where}: nothing was uploaded: {_reason(error)}") from None
    return str(url)
