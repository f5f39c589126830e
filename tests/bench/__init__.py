"""The judgements of the benchmarks: what they call level, back, ahead."""
