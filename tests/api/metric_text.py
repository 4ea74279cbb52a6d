"""What Prometheus reads out of an answer, by the parser of its client library."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]


def samples_of(text: str) -> Mapping[tuple[str, Labels], float]:
    """Name and labels, in order, of each sample -> its value."""
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def types_of(text: str) -> Mapping[str, str]:
    """Name of each metric as its samples have it -> its type."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in text_string_to_metric_families(text)
    }


def growing_of(text: str) -> Mapping[tuple[str, Labels], float]:
    """The samples that may only grow."""
    ends = ("_total", "_bucket", "_count", "_sum")
    return {key: value for key, value in samples_of(text).items() if key[0].endswith(ends)}
