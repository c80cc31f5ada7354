"""The page for people at `/`: what an operator looks at first.

    Status, forecast ─┐
    health, metrics ──┴▶ sight ─▶ view ─▶ rendering ─▶ HTML

`front` looks at what there is, seldom enough that it disturbs nobody; `view` decides what is said of it, in
words; `chart` draws the day; `page.html` only lays it out. The page holds names, counts and times, and no
user ids; it loads nothing, and runs one script, which the header of its answer names by its hash.
"""
