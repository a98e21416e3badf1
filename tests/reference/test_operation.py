"""Polling by itself, outages of the source, several processes, odd keys: each on a server of its own."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.targets.directory import DirectoryTarget
from fixtures.trees import File, Tree
from tests.reference import kinds
from tests.reference.conftest import S3
from tests.reference.harness import Server, await_, serving, write_project
from tests.reference.kinds import Kind, tokens
from tests.reference.relay import Relay


def expect(server: Server, tree: Tree, **query: str) -> None:
    """Await that the server answers with this model."""

    def check() -> None:
        assert server.predict(**query) == (200, tokens(tree))

    await_(check, server.deadline)


@pytest.mark.parametrize(
    ("kind", "naming"), [(kinds.PYTHON, "model_path"), (kinds.ONNX, "paths")], ids=["python-model_path", "onnx-paths"]
)
def test_reloads_by_itself(kind: Kind, naming: str, tmp_path: Path) -> None:
    """Without control the server polls: a new version, an update in place and a removal are served."""
    target = DirectoryTarget(tmp_path / "models")
    first, second, third = kind.make(), kind.make(), kind.make()
    target.write(first.at("m/1"))
    where = f"{tmp_path}/models/m"
    line = f"model_path: {where}" if naming == "model_path" else f"models: {{paths: [{{name: any, path: {where}}}]}}"
    project = write_project(tmp_path / "project", kind.name, kind.predictor, line)
    with serving(project) as server:
        expect(server, first)
        target.write(second.at("m/2"))
        expect(server, second)
        target.write(third.at("m/2"))
        expect(server, third)
        target.clear("m/2")
        expect(server, first)
        target.clear("m")

        def gone() -> None:
            assert server.predict()[0] == 404

        await_(gone, server.deadline)
        target.write(second.at("m/1"))
        expect(server, second)


@pytest.fixture
def relay(s3: S3) -> Iterator[Relay]:
    """Put a relay in front of the S3 endpoint."""
    relay = Relay(int(s3.environment["AWS_ENDPOINT_URL"].rpartition(":")[2]))
    yield relay
    relay.close()


def test_outage_is_not_a_deletion(s3: S3, relay: Relay, tmp_path: Path) -> None:
    """While S3 is away what was served is served on; afterwards the server catches up."""
    target = s3.target("outage")
    old, new = kinds.PYTHON.make(), kinds.PYTHON.make()
    target.write(old.at("m/1"))
    project = write_project(tmp_path, "python", kinds.PYTHON.predictor, f"models: {{dir: '{target.url}'}}")
    environment = {**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}
    with serving(project, env=environment) as server:
        expect(server, old)
        with relay.outage():

            def noticed() -> None:
                assert server.summary()["sources"][0]["error"] is not None

            await_(noticed, server.deadline)
            target.write(new.at("m/2"))
            assert server.predict() == (200, tokens(old))
        expect(server, new)
        assert server.summary()["sources"][0]["error"] is None


def test_outage_at_start(s3: S3, relay: Relay, tmp_path: Path) -> None:
    """A source that is away at the start means 503 with a reason until it comes back; then the models are served."""
    target = s3.target("outage-at-start")
    tree = kinds.PYTHON.make()
    target.write(tree.at("m"))
    project = write_project(tmp_path, "python", kinds.PYTHON.predictor, f"models: {{dir: '{target.url}'}}")
    environment = {**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}
    server = Server(project, env=environment)
    try:
        with relay.outage():

            def unavailable() -> None:
                try:
                    status, body, _ = server.request("GET", "/")
                except OSError as error:
                    raise AssertionError from error
                assert status == 503
                assert b"Could not connect" in body or b"Connection was closed" in body

            await_(unavailable, server.deadline)
            assert server.request("POST", "/", b"")[0] == 503
            assert server.request("GET", "/healthz")[0] == 200
        server.ready()
        assert server.predict() == (200, tokens(tree))
    finally:
        server.stop()


def test_first_answer_is_complete(tmp_path: Path) -> None:
    """From the first 200 of GET / on, every model that was there before the start is servable."""
    target = DirectoryTarget(tmp_path / "models")
    trees = {f"m{number}": kinds.PYTHON.make() for number in range(100)}
    for name, tree in trees.items():
        target.write(tree.at(name))
    project = write_project(
        tmp_path / "project", "python", kinds.PYTHON.predictor, f"models: {{dir: {tmp_path}/models}}"
    )
    with serving(project) as server:
        assert set(server.summary()["model_metadata"]) == set(trees)
        for name, tree in trees.items():
            assert server.predict(model=name) == (200, tokens(tree))


def test_several_processes_converge(tmp_path: Path) -> None:
    """With several processes every one of them serves the new content once a driven reload has returned."""
    target = DirectoryTarget(tmp_path / "models")
    predictor = kinds.PYTHON.predictor.replace("return model\n", "return [os.getpid(), *model]\n")
    target.write(kinds.PYTHON.make().at("m/1"))
    line = f"models: {{dir: {tmp_path}/models}}"
    project = write_project(tmp_path / "project", "python", predictor, line, "processes_per_replica: 3")
    with serving(project, "--control") as server:
        for version in ("2", "3"):
            new = kinds.PYTHON.make()
            target.write(new.at(f"m/{version}"))
            server.reload()
            answered: set[int] = set()

            def all_answered(new: Tree = new, answered: set[int] = answered) -> None:
                status, (process, *found) = server.predict()
                if (status, found) != (200, tokens(new)):
                    raise RuntimeError(f"{process} answered {found}")
                answered.add(process)
                assert len(answered) == 3

            await_(all_answered, server.deadline)


# Of two processes one is ready at once, the other when there is a file named `open`.
GATE = """
        folder = config["gate"]
        try:
            open(os.path.join(folder, "first"), "x").close()
        except FileExistsError:
            while not os.path.exists(os.path.join(folder, "open")):
                threading.Event().wait(0.02)
"""


def test_ready_means_all_processes(tmp_path: Path) -> None:
    """While one of two processes still starts, GET / says so with 503; once it says 200 every process predicts."""
    tree = kinds.PYTHON.make()
    DirectoryTarget(tmp_path / "models").write(tree.at("m"))
    predictor = kinds.PYTHON.predictor.replace(
        "        self.client = python_client\n", f"        self.client = python_client{GATE}"
    )
    lines = (f"models: {{dir: {tmp_path}/models}}", "processes_per_replica: 2", f"config: {{gate: {tmp_path}}}")
    server = Server(write_project(tmp_path / "project", "python", predictor, *lines))
    try:

        def one_is_ready() -> None:
            try:
                status, body, _ = server.request("GET", "/")
            except OSError as error:
                raise AssertionError from error
            if status == 200:
                raise RuntimeError(f"ready with one process of two: {body!r}")
            assert b"another process is not ready yet" in body

        await_(one_is_ready, server.deadline)
        (tmp_path / "open").touch()
        server.ready()
        # Of so many requests one of two processes gets none once in a million times.
        assert [server.predict() for _ in range(20)] == [(200, tokens(tree))] * 20
    finally:
        server.stop()


def test_a_held_model_stays(tmp_path: Path) -> None:
    """While a request holds an object, new content is served to others, and its files stay until it ends."""
    target = DirectoryTarget(tmp_path / "models")
    old, new = kinds.PYTHON.make(), kinds.PYTHON.make()
    predictor = (
        kinds.PYTHON.predictor.replace(
            "        return Model(sorted(found))\n",
            "        model = Model(sorted(found))\n        model.path = path\n        return model\n",
        )
        .replace("        return model\n\n", "        return model\n")
        .replace(
            '            threading.Event().wait(float(query_params["hold"]))\n',
            '            threading.Event().wait(float(query_params["hold"]))\n'
            "            return sorted(os.listdir(model.path))\n",
        )
    )
    target.write(old.at("m"))
    line = f"models: {{dir: {tmp_path}/models}}"
    project = write_project(tmp_path / "project", "python", predictor, line, "threads_per_process: 2")
    with serving(project, "--control") as server:
        assert server.predict() == (200, tokens(old))
        answers: list[object] = []
        holder = threading.Thread(target=lambda: answers.append(server.predict(hold="1.5")))
        holder.start()
        target.write(new.at("m"))
        server.reload()
        assert server.predict() == (200, tokens(new))
        server.evict()
        holder.join()
        assert answers == [(200, sorted(old))]
        server.evict()
        assert len(list(server.store.glob("run-*/revisions/*"))) == 1


def test_keys_that_no_disk_can_hold(s3: S3, tmp_path: Path) -> None:
    """Keys with `..`, empty parts or overlong names are left aside and reported; nothing leaves the store."""
    target = s3.target("odd")
    good = kinds.PYTHON.make()
    odd = ["m/../../escape.txt", "m//double.txt", "m/./dot.txt", f"m/{'x' * 300}", "../up.txt", "m/a", "m/a/b.txt"]
    target.write(good.at("m"))
    target.write(kinds.PYTHON.make().at("name with späce ☃"))
    for key in odd:
        s3.client.put_object(Bucket=s3.bucket, Key=f"odd/{key}", Body=b"token: 00000000000000ff\n")
    project = write_project(tmp_path / "project", "python", kinds.PYTHON.predictor, f"models: {{dir: '{target.url}'}}")
    with serving(project, env=s3.environment) as server:
        assert server.predict(model="m") == (200, sorted([*tokens(good), "00000000000000ff"]))
        assert server.predict(model="name with späce ☃")[0] == 200
        assert server.predict(model="..")[0] == 404
        aside = server.summary()["left_aside"]
        for key in odd[:-1]:
            assert f"{target.url}/{key}" in aside
    assert not list(tmp_path.rglob("escape.txt"))
    assert not list(tmp_path.rglob("up.txt"))


def test_many_keys(s3: S3, tmp_path: Path) -> None:
    """Versions beyond the first page of a listing are served like the others."""
    target = s3.target("many")
    versions = Tree(
        {f"m/{number}/model.txt": File(f"token: {number:016x}\n", token=f"{number:016x}") for number in range(1100)}
    )
    target.write(versions)
    line = f"models: {{dir: '{target.url}', cache_size: 10, disk_cache_size: 20}}"
    project = write_project(tmp_path, "python", kinds.PYTHON.predictor, line)
    with serving(project, env=s3.environment) as server:
        assert len(server.versions("m") or []) == 1100
        assert server.predict() == (200, [f"{1099:016x}"])
        assert server.predict(version="1050") == (200, [f"{1050:016x}"])


def test_inferentia_is_listed_and_refused(tmp_path: Path) -> None:
    """With compute.inf `saved_model.pb` alone is a model; without the Neuron runtime asking for it is a clear error."""
    DirectoryTarget(tmp_path / "models").write(Tree({"m/1/saved_model.pb": File(b"x")}))
    project = write_project(
        tmp_path / "project", "tensorflow", kinds.TENSORFLOW.predictor, f"models: {{dir: {tmp_path}/models}}"
    )
    with (project / "cortex.yaml").open("a") as file:
        file.write("  compute:\n    inf: 1\n")
    with serving(project) as server:
        assert server.versions("m") == ["1"]
        status, answer = server.predict()
        assert status == 500
        assert "Neuron runtime" in answer["error"]
