"""The rules of the house, read from the code itself."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

import admin_service
import ingest_service
from shared.settings import Settings, variables

ROOT = Path(__file__).parent.parent
SERVICES = ("ingest_service", "admin_service", "consumer")
PACKAGES = (*SERVICES, "shared")
OURS = (*PACKAGES, "deploy", "tests")

# What `make` starts before there is a virtual environment: Python's own library and each other, no more.
SUPERVISORS = {
    f"deploy/{name}.py"
    for name in (
        "caches",
        "child_process",
        "load",
        "local",
        "local_system",
        "run_log",
        "supervisor",
        "virtual_environment",
    )
}
# What partners copy to a machine of their own: one file, so it may be as long as it must.
FOR_PARTNERS = "deploy/import_leads.py"
MAX_LINES = 320


def modules(*folders: str) -> list[str]:
    """The Python files of these folders, as paths from the root."""
    return sorted(
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


PRODUCT = modules(*PACKAGES, "deploy")


def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(), module)


def imports(module: str) -> set[str]:
    """The names of all modules that this one imports, wherever in it."""
    package = Path(module).parent.parts
    names: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *filter(None, [node.module])])
            names |= {f"{origin}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "__import__",
            "importlib.import_module",
        ):
            names |= {str(ast.literal_eval(argument)) for argument in node.args[:1]}
    return names


def packages_of(module: str) -> set[str]:
    """The top-level packages that a module imports."""
    return {name.split(".")[0] for name in imports(module)}


def reads_environment(module: str) -> bool:
    names = {"os.environ", "os.environb", "os.getenv", "os.getenvb"}
    attributes = {ast.unparse(node) for node in ast.walk(tree(module)) if isinstance(node, ast.Attribute)}
    return bool(names & (attributes | imports(module)))


def test_there_is_code_to_look_at() -> None:
    assert {module.split("/")[0] for module in PRODUCT} == {*PACKAGES, "deploy"}
    assert len(PRODUCT) > 40


@pytest.mark.parametrize("service", SERVICES)
def test_services_never_import_each_other(service: str) -> None:
    others = set(SERVICES) - {service}
    assert {module: found for module in modules(service) if (found := packages_of(module) & others)} == {}


def test_shared_imports_no_service_and_nothing_of_ours_imports_deploy_or_tests() -> None:
    assert [module for module in modules("shared") if packages_of(module) & set(SERVICES)] == []
    assert [module for module in modules(*PACKAGES) if packages_of(module) & {"deploy", "tests"}] == []
    assert [module for module in modules("deploy") if "tests" in packages_of(module)] == []


def test_the_environment_is_read_in_one_place() -> None:
    readers = {module for module in PRODUCT if reads_environment(module)}
    assert readers - SUPERVISORS == {"shared/settings.py", FOR_PARTNERS}


def test_what_starts_before_there_is_an_environment_needs_the_standard_library_only() -> None:
    for module in SUPERVISORS:
        assert packages_of(module) <= {*sys.stdlib_module_names, "deploy"}, module
        of_deploy = {name.split(".")[1] for name in imports(module) if name.startswith("deploy.")}
        assert {f"deploy/{name}.py" for name in of_deploy} <= SUPERVISORS, module


def test_what_partners_copy_needs_python_3_8_and_nothing_else() -> None:
    ast.parse((ROOT / FOR_PARTNERS).read_text(), feature_version=(3, 8))
    assert packages_of(FOR_PARTNERS) <= {*sys.stdlib_module_names}


def test_pika_is_known_to_the_modules_of_rabbitmq_alone() -> None:
    knowing = [module for module in PRODUCT if "pika" in packages_of(module)]
    of_rabbitmq = ["rabbitmq.py", "rabbitmq_connection.py", "rabbitmq_depth.py"]
    assert knowing == [f"shared/queues/{name}" for name in of_rabbitmq]


def test_pymysql_is_known_to_the_module_of_written_rows_alone() -> None:
    assert [module for module in PRODUCT if "pymysql" in packages_of(module)] == ["shared/written_rows.py"]


def test_no_module_is_named_for_nothing() -> None:
    vague = {"util", "utils", "helper", "helpers", "common", "misc", "base", "core"}
    names = {part for module in modules(*OURS) for part in Path(module).with_suffix("").parts}
    assert names & vague == set()


def test_every_module_says_what_it_is_for() -> None:
    empty = {module for module in PRODUCT if not (ROOT / module).read_text().strip()}
    assert {module for module in empty if not module.endswith("/__init__.py")} == set()
    assert [module for module in PRODUCT if module not in empty and not ast.get_docstring(tree(module))] == []


def test_no_file_is_too_long_to_read() -> None:
    of_ours = set(PRODUCT) - {FOR_PARTNERS}
    lengths = {module: len((ROOT / module).read_text().splitlines()) for module in of_ours}
    assert {module: lines for module, lines in lengths.items() if lines > MAX_LINES} == {}


@pytest.fixture(params=["ingest_service", "admin_service"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Flask:
    settings = Settings(data_dir=tmp_path)
    if request.param == "ingest_service":
        return ingest_service.create_app(settings)
    return admin_service.create_app(settings)


def test_every_route_has_a_rule_who_may_call_it(app: Flask) -> None:
    rules = {
        rule.rule: getattr(app.view_functions[rule.endpoint], "access_rule", None)
        for rule in app.url_map.iter_rules()
    }
    assert rules
    assert {
        route for route, rule in rules.items() if rule not in ("anyone", "ROLE_API_CLIENT", "ROLE_ADMIN")
    } == set()


def test_no_blueprint_has_hooks_of_its_own(app: Flask) -> None:
    before, after = app.before_request_funcs, app.after_request_funcs
    assert before[None]
    assert after[None]
    assert {*before, *after} == {None}  # what a service runs around each request


OPEN_TO_ALL = {
    "/livez",
    "/readyz",
    "/api/login_check",
    "/.well-known/jwks.json",
    *(f"{prefix}/openapi.json" for prefix in ("/api", "/admin/api")),
    *(f"{prefix}/docs{asset}" for prefix in ("/api", "/admin/api") for asset in ("", "/<name>")),
}


def test_only_these_routes_are_open_to_everyone(app: Flask) -> None:
    everyone = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if getattr(app.view_functions[rule.endpoint], "access_rule", None) == "anyone"
    }
    assert everyone <= OPEN_TO_ALL


def test_system_tests_know_the_product_from_outside_only() -> None:
    reached = set(modules("tests/system"))
    todo = sorted(reached)
    while todo:
        for module in imported_tests(todo.pop()) - reached:
            reached.add(module)
            todo.append(module)
    assert {module for module in reached if packages_of(module) & {*PACKAGES, "deploy"}} == set()


def imported_tests(module: str) -> set[str]:
    """The files below tests/ that a module imports."""
    found = {name.replace(".", "/") for name in imports(module) if name.startswith("tests.")}
    files = {f"{name}.py" for name in found} | {f"{Path(name).parent}.py" for name in found}
    return {file for file in files if (ROOT / file).is_file()}


def test_every_variable_stands_in_the_operators_table() -> None:
    table = dict(operators_table())
    assert list(table) == [variable.name for variable in variables().values()]


def test_the_operators_table_says_what_the_code_does() -> None:
    table = dict(operators_table())
    for attribute, variable in variables().items():
        default = getattr(Settings(), attribute)
        shown = f"`{default}`" if default not in ("", None, ()) else "–"
        assert table[variable.name] == (shown, variable.takes, variable.about)


def operators_table() -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Each variable of docs/operations.md with its default, what it takes, what it is for."""
    for line in (ROOT / "docs" / "operations.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and re.fullmatch(r"`[A-Z_]+`", cells[0]):
            yield cells[0].strip("`"), (cells[1], cells[2], cells[3])


def test_every_target_of_make_explains_itself() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    targets = {line.split(":")[0]: line for line in lines if re.match(r"[a-z][a-z0-9-]*\s*:(?!=)", line)}
    assert "help" in targets
    assert [target for target, line in targets.items() if not re.search(r"## \S", line)] == []
    phony = next(line for line in lines if line.startswith(".PHONY:"))
    assert set(phony.removeprefix(".PHONY:").split()) == set(targets)
