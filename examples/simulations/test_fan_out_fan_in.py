"""The words of `fan_out_fan_in.py` are counted correctly, even if hosts are killed.

cd examples && python -m pytest simulations
"""

import fan_out_fan_in

from perdure.testing import World, simulated

TEXTS = ["to be or not to be", "that is the question", "to be"]


@simulated(fan_out_fan_in.app, seeds=25, sweep=1)
async def test_every_word_is_counted_once(world: World) -> None:
    texts = TEXTS[: world.pick(1, len(TEXTS))]
    start = world.client.start(fan_out_fan_in.count_words, input=texts, instance_id="c", if_exists="return")
    counts = await (await start).result()
    assert sum(counts.values()) == sum(len(text.split()) for text in texts)
    assert counts["be"] == 2 + (len(texts) == 3)
