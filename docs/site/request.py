"""Draw the way of a request:  python docs/site/request.py > docs/pictures/request.svg

The rule: each step names the module that does it, and `tests/house/test_pictures.py` holds that the module is there.
`ARCHITECTURE.md` tells the same in words.
"""

from itertools import pairwise

from drawing import Box, boxed, line, picture, words

# The steps, from the request to its answer: who, by which module, and what.
STEPS = (
    ("Door", "http/dapr/workflows.py", "decodes the request, and calls the facade"),
    ("Facade", "runtime/operations/facade.py", "sends Start to the address workflow/ID"),
    ("Placement", "actors/cluster/placement.py", "says which shard that is, and whose"),
    ("Mailroom", "actors/hosting/mailroom.py", "puts the message into the actor's mailbox"),
    ("Loader", "actors/hosting/loader.py", "reads the actor if it is not in memory, up to 256 at a time"),
    ("Turn loop", "actors/hosting/turn_loop.py", "takes the actor's next turn; none other of it runs"),
    ("Turn", "runtime/instance/turn.py", "messages become events, the code is fed, commands come back"),
    ("Committer", "actors/hosting/committer.py", "gathers turns, and hands the group to the store"),
    ("Store", "actors/store/contract.py", "one transaction, one flush"),
    ("Release", "actors/hosting/release.py", "answers callers, begins activities, sends messages"),
)
WIDTH, HEIGHT, ROW, LEFT = 250, 40, 62, 210
DURABLE = "Store"
ROOM = 850


def drawn() -> str:
    """The picture, as SVG."""
    boxes = [
        Box(LEFT, 40 + number * ROW, WIDTH, HEIGHT, name, module, "#fff8e1" if name == DURABLE else "#e3f2fd")
        for number, (name, module, _) in enumerate(STEPS)
    ]
    parts = [
        line(f"M{LEFT} {above.y + HEIGHT / 2:.0f} V{below.y - HEIGHT / 2:.0f}") for above, below in pairwise(boxes)
    ]
    for box, (_, _, what) in zip(boxes, STEPS, strict=True):
        parts += [*boxed(box), words(LEFT + WIDTH / 2 + 20, box.y + 5, what, at="start")]
    last, first, left = boxes[-1], boxes[0], LEFT - WIDTH / 2
    parts.append(line(f"M{left:.0f} {last.y:.0f} H{left - 40:.0f} V{first.y:.0f} H{left:.0f}", dashed=True))
    parts.append(words(left - 48, (first.y + last.y) / 2, "2xx", at="end"))
    return picture(ROOM, 80 + (len(STEPS) - 1) * ROW, "The way of a request", parts)


if __name__ == "__main__":
    print(drawn(), end="")
