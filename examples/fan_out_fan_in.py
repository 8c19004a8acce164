"""Runs many activities at the same time, and combines their results.

    perdure run examples/fan_out_fan_in.py
    curl -X POST 'http://127.0.0.1:3500/v1.0/workflows/dapr/count_words/start?instanceID=c1' \
         -d '["to be or not to be", "that is the question"]'
"""

from collections import Counter

import perdure

app = perdure.App("word-count")


# A plain function runs in a thread, so it may block.
@app.activity
def count(ctx: perdure.ActivityContext, text: str) -> dict[str, int]:
    return Counter(text.split())


@app.workflow
async def count_words(ctx: perdure.WorkflowContext, texts: list[str]) -> dict[str, int]:
    # The call starts an activity, and `await` waits for it. So all activities run at the same time, and `when_all`
    # returns the results in the order of its tasks. If an activity fails, it raises at once.
    counts = await perdure.when_all([ctx.call_activity(count, input=text) for text in texts])
    total: Counter[str] = Counter()
    for words in counts:
        total.update(words)
    return dict(total.most_common())
