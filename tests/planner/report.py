"""How well the planner reads the corpus: `make planner-report`. Of the held-back third only numbers are shown."""

import sys
from collections import Counter
from collections.abc import Sequence

from tests.planner.corpus import Verdict, judge, rows


def summary(verdicts: Sequence[Verdict]) -> str:
    """Counts of outcomes."""
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    right = 100 * outcomes["right"] / len(verdicts)
    return (
        f"{len(verdicts)} sentences: {right:.1f} % right, {outcomes['asked']} asked otherwise, "
        f"{outcomes['wrong']} wrong and accepted"
    )


def arguments(verdicts: Sequence[Verdict]) -> list[str]:
    """Accuracy per argument."""
    said: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for verdict in verdicts:
        said.update(verdict.arguments)
        hits.update(verdict.hits)
    return [
        f"  {argument:24} {hits[argument]:4} of {said[argument]:4}   {100 * hits[argument] / said[argument]:5.1f} %"
        for argument in sorted(said)
    ]


def main() -> None:
    """Print the report; with `--show`, what went otherwise among the sentences that are not held back."""
    verdicts = [judge(row) for row in rows()]
    seen = [verdict for verdict in verdicts if not verdict.row.held_back]
    held = [verdict for verdict in verdicts if verdict.row.held_back]
    for name, some in (("worked with", seen), ("held back", held)):
        sys.stdout.write("\n".join([f"{name}: {summary(some)}", *arguments(some), "", ""]))
    if "--show" in sys.argv:
        for verdict in seen:
            if verdict.outcome != "right":
                sys.stdout.write(
                    f"{verdict.outcome}: {verdict.row.text}\n   wanted {verdict.row.label}\n   got    {verdict.answer}\n"
                )


if __name__ == "__main__":
    main()
