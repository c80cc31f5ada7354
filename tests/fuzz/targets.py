"""All that is fuzzed, by name."""

from tests.fuzz import audience_files, events, letters, runs, schemas

TARGETS = {
    target.name: target
    for module in (events, schemas, letters, runs, audience_files)
    for target in module.TARGETS
}
