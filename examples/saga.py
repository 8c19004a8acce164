"""Several bookings that succeed or fail together: if one fails, the earlier ones are undone, newest first.

    perdure run examples/saga.py
    curl -X POST 'http://127.0.0.1:3500/v1.0/workflows/dapr/book_trip/start?instanceID=t1' \
         -d '{"traveller": "Ada", "places": ["hotel", "flight", "moon"]}'
"""

from dataclasses import dataclass
from datetime import timedelta

import perdure

app = perdure.App("trips")

RETRY = perdure.RetryPolicy(first_retry_interval=timedelta(milliseconds=200), max_number_of_attempts=3)


@dataclass(frozen=True)
class Trip:
    traveller: str
    places: list[str]


@app.activity
async def book(ctx: perdure.ActivityContext, place: str) -> str:
    if place == "moon":
        # Another attempt would not help, so the retry policy makes none.
        raise perdure.NonRetryableError("nobody flies to the moon")
    # Each attempt of this call has the same key, so the receiver makes one booking.
    return f"{place} booked under {ctx.task_execution_id}"


@app.activity
async def cancel(ctx: perdure.ActivityContext, booking: str) -> str:
    return f"cancelled: {booking}"


@app.workflow
async def book_trip(ctx: perdure.WorkflowContext, trip: Trip) -> dict[str, object]:
    bookings: list[str] = []
    try:
        for place in trip.places:
            # One after the other, so that the bookings before a failure are known.
            bookings.append(await ctx.call_activity(book, input=place, retry_policy=RETRY))  # noqa: PERF401
    except perdure.TaskFailedError as error:
        # This is durable too: after a crash the undoing goes on.
        for booking in reversed(bookings):
            await ctx.call_activity(cancel, input=booking, retry_policy=RETRY)
        return {"traveller": trip.traveller, "booked": [], "reason": error.details.message}
    return {"traveller": trip.traveller, "booked": bookings}
