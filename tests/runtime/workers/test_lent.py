"""Lent jobs are the same at another host."""

from perdure.runtime.workers.lent import LentJob, jobs_in, pack_jobs


def test_jobs_cross_and_one_that_cannot_be_read_is_left_out() -> None:
    jobs = [LentJob("a", "x-a", 0, "host-a", 7), LentJob("b", "x", 3, "host-b", None, "token", "stream")]
    assert jobs_in([*pack_jobs(jobs), b"\xc1", b"\x91\x01"]) == jobs
