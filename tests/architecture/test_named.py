"""Every path, module, setting, endpoint, key, command and event that README and docs name is there."""

from pathlib import Path

import pytest

from tests.architecture.test_documents import PAGES
from tests.support.named import RULES, page, problems
from tests.support.project import ROOT


@pytest.mark.parametrize("path", [*PAGES, ROOT / "examples/town/README.md"], ids=lambda path: str(path.relative_to(ROOT)))
def test_whatever_a_page_names_is_there(path: Path) -> None:
    """Mend the page; what is somebody else's goes into ELSEWHERE, with who has it."""
    assert problems(page(path, path.read_text(encoding="utf8"))) == []


WRONG = """
# A sample

[a page](nowhere.md), [a heading](../docs/plans.md#the-moon), `shared/no_such_module.py`, `no_such_page.md`,
`tests/system/test_kills.py::test_nothing_of_the_kind`,
`shared.machine.decide.no_such_function`, `INGRESS_PROT`, `GET /api/moons`, `DELETE /api/quota`, `/healthy`,
`ie:{p<pp>}:moon:<execution>`, `qd:{u}:moons`, `intention fly`, `intention why --moon`, `make moon`, `no_such_word`,
`noSuchWord`,
`gates.no_such_field`.

| event | meaning |
| --- | --- |
| `message.no_such_event` | |

```bash
INTENTION_MOON=full make moons
intention run --plan examples/plans/moon.json
curl http://localhost:3000/api/moons
python -m shared.moon
pip install '.[moon]'
```

```python
from shared.errors import NoSuchError
```
"""
RIGHT = """
# A sample

[a page](../docs/plans.md), [a heading](../docs/plans.md#conditions-and-joins), [here](#a-sample), `shared/why.py`,
`test_chaos.py`,
`shared.machine.decide.decide`, `INGRESS_PORT`, `SECRET_ANYTHING`,
`tests/simulation/test_crashes.py::test_one_crash_anywhere_changes_nothing`,
`GET /api/executions/{id}/why`,
`POST {resume}/api/mesh/resume`, `/why`, `/v2/queues`, `ie:{p<pp>}:due`, `qd:{u}:m:<id>`, `intention why last`, `make run`,
`step_executor`, `argsHash`, `waits.look_at_clock`.

| event | meaning |
| --- | --- |
| `message.sent`, `step.retried` | |

Write `moon.json`:

```json
{"steps": []}
```

```bash
INGRESS_PORT=3000 make run
intention run --plan examples/plans/event.json --wait=2    # exit code 20
curl http://localhost:3000/api/executions/exe_00_00/why
```

```python
from shared.errors import NotFound, Unavailable
```
"""


def test_a_page_that_names_what_is_not_there_is_told_each_name() -> None:
    """The rules can fail: each of them, and once for each name."""
    found = problems(page(ROOT / "docs/sample.md", WRONG))
    assert found == [
        "links: nowhere.md",
        "links: ../docs/plans.md#the-moon",
        "paths: shared/no_such_module.py",
        "paths: no_such_page.md",
        "paths: tests/system/test_kills.py::test_nothing_of_the_kind",
        "paths: examples/plans/moon.json",
        "modules: shared.machine.decide.no_such_function",
        "modules: shared.moon",
        "modules: shared.errors.NoSuchError",
        "variables: INTENTION_MOON=",
        "variables: INGRESS_PROT",
        "endpoints: GET /api/moons",
        "endpoints: DELETE /api/quota",
        "endpoints: /healthy",
        "endpoints: /api/moons",
        "keys: ie:{p<pp>}:moon:<execution>",
        "keys: qd:{u}:moons",
        "commands: intention fly: there is no command fly",
        "commands: intention why --moon: why has no option --moon",
        "commands: make moon",
        "commands: INTENTION_MOON=full make moons",
        "commands: moon",
        "events: message.no_such_event",
        "words: no_such_word",
        "words: noSuchWord",
        "words: gates.no_such_field",
        "words: message.no_such_event",
    ]
    assert {one.partition(":")[0] for one in found} == {rule.__name__ for rule in RULES}


def test_a_page_that_names_what_is_there_is_left_alone() -> None:
    """With every way in which something is named."""
    assert problems(page(ROOT / "docs/sample.md", RIGHT)) == []
