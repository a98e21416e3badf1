"""What can be run here: `nox -s conformance` judges a server, `nox -s tests` tests the project itself."""

import sys

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "tests", "conformance"]
nox.options.error_on_external_run = True

# What the suite needs, and what the reference server needs, which most runs are about.
JUDGE = ("--group", "conformance")
LOAD = ("--group", "load")
REFERENCE = ("--group", "reference", "--group", "tensorflow")
BENCHMARKS = (
    "reference_http",
    "reference_versions",
    "reference_scan",
    "reference_reload",
    "reference_memory",
    "fixtures_generate",
    "fixtures_s3",
)
REFERENCE_FILE = "conformance/implementations/reference.toml"


def sync(session: nox.Session, *groups: str) -> None:
    """Install dependency groups exactly as they are locked."""
    session.run_install(
        "uv", "sync", "--frozen", "--quiet", "--no-default-groups", *groups,
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location, "UV_PYTHON": session.virtualenv.location},
        external=True,
    )  # fmt: skip


def sync_for_servers(session: nox.Session, *groups: str) -> None:
    """Install for a session that starts servers, some of them hundreds of times: what these import is compiled once."""
    sync(session, "--compile-bytecode", *groups)
    # Also what is in this repository, and if Python was told not to keep it.
    session.env["PYTHONDONTWRITEBYTECODE"] = ""


def run_for_status(session: nox.Session, *command: str, interrupt_timeout: float) -> None:
    """Run a command whose exit status says what came out: nox by itself makes 1 of every failure."""
    try:
        session.run(*command, interrupt_timeout=interrupt_timeout)
    except CommandFailed as failure:
        sys.exit(failure.return_code or 1)


@nox.session
def conformance(session: nox.Session) -> None:
    """Judge a server: the reference, or the one that `-- --implementation FILE` describes."""
    arguments = list(session.posargs)
    if not any(argument.startswith("--implementation") for argument in arguments):
        arguments = ["--implementation", REFERENCE_FILE, *arguments]
    if not any(argument.startswith("conformance/") and not argument.endswith(".toml") for argument in arguments):
        arguments.append("conformance")
    sync_for_servers(session, *JUDGE, *REFERENCE)
    # The exit status is the verdict: 0 conformant, 1 not conformant, 2 partial, 3 error.
    command = ["python", "-m", "pytest", "-p", "conformance.plugin", "--quiet", *arguments]
    run_for_status(session, *command, interrupt_timeout=60)


@nox.session(name="conformance-frameworks", default=False)
def conformance_frameworks(session: nox.Session) -> None:
    """Judge whether the memory of evicted models returns, with the models of every framework that is said to work."""
    arguments = list(session.posargs)
    if not any(argument.startswith("--implementation") for argument in arguments):
        arguments = ["--implementation", REFERENCE_FILE, *arguments]
    sync_for_servers(session, *JUDGE, *REFERENCE, "--group", "frameworks", "--group", "torch")
    session.run(
        # The request that imports a framework first may take longer than others.
        "python", "-m", "pytest", "-p", "conformance.plugin", "--quiet", "--strict", "--patience", "4", *arguments,
        "conformance/clients/test_memory.py",
        env={"SERVECHECK_FRAMEWORKS": "1"}, interrupt_timeout=60,
        success_codes=[0, 2],  # one clause is a part of a profile; if it fails, --strict makes it 1
    )  # fmt: skip


@nox.session
def tests(session: nox.Session) -> None:
    """Test the project itself."""
    sync_for_servers(session, *JUDGE, *LOAD, *REFERENCE, "--group", "frameworks")
    session.run("python", "-m", "pytest", *session.posargs, env={"SERVECHECK_TENSORFLOW": "1"})


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Judge every faulty server and every harmless variation, or those named after `--`; `--resume` goes on."""
    sync_for_servers(session, *JUDGE, *REFERENCE)
    session.run("python", "-m", "tests.faults", *session.posargs, interrupt_timeout=60)


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """Let the tests of the layout and of the cache find small changes; what survives is explained beside them."""
    sync(session, *JUDGE, *REFERENCE, "--group", "mutation")
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")


@nox.session(default=False)
def trees(session: nox.Session) -> None:
    """Make, change and inspect model trees: `nox -s trees -- generate --help`."""
    sync(session, "--only-group", "fixtures")
    session.run("python", "-m", "fixtures", *(session.posargs or ["--help"]))


@nox.session(default=False)
def load(session: nox.Session) -> None:
    """Run a load profile, `-- burst [--implementation FILE | --host URL]`, or predict: `-- predict --help`."""
    sync_for_servers(session, *LOAD, *REFERENCE)
    # 0 PASS, 1 FAIL, 2 INVALID, 3 error.
    run_for_status(session, "python", "-m", "load", *(session.posargs or ["--help"]), interrupt_timeout=120)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure speed, as ratios within one run: all of bench/, or the scripts named after `--`."""
    sync_for_servers(session, *JUDGE, *REFERENCE, "--group", "bench")
    for script in session.posargs or BENCHMARKS:
        session.run("python", "-m", f"bench.{script}")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    sync(session, *JUDGE, *LOAD, *REFERENCE, "--group", "types")
    session.run("mypy")
