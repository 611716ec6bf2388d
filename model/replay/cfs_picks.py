"""What a real pick shows of the vruntimes of groups, which are not traced.

The picked entity was the leftmost of its queue, or a buddy at most a wakeup granularity behind it. `Entity.doubt_ns`
says how far a vruntime may be from the truth; of two that contradict a pick the more doubtful one moves more, and both
as little as resolves it. The vruntimes of tasks are traced, and in doubt only until then.
"""

from __future__ import annotations

from model.replay.cfs_queue import Entity, Rules

LEAST_DOUBT_NS = 5e3  # that remains about a group


def learn_pick(picked: Entity, predicted: Entity, rules: Rules) -> None:
    """Correct the two entities of a wrong prediction that competed in the queue which both tasks have in common."""
    rivals = {level.queue: level for level in predicted.levels()}
    for level in picked.levels():
        rival = rivals.get(level.queue)
        if rival is not None:
            if rival is not level:
                _drop_buddy(rival)
                _resolve(level, rival, rules)
            break


def _drop_buddy(entity: Entity) -> None:
    """Let an entity no longer be a buddy: the kernel would have picked it."""
    queue = entity.queue
    if entity is queue.buddy:
        queue.buddy = None
    elif entity is queue.last_buddy:
        queue.last_buddy = None


def _resolve(picked: Entity, rival: Entity, rules: Rules) -> None:
    favoured = picked in (picked.queue.buddy, picked.queue.last_buddy)
    excess = picked.vruntime - rival.vruntime - (rules.granularity_ns(rival) if favoured else 0.0)
    doubt = picked.doubt_ns + rival.doubt_ns
    if excess < 0 or not doubt:
        return
    if rival.doubt_ns >= rules.latency_ns:
        excess += rules.latency_ns / 2  # else it would be predicted again and again until it is known
    for entity, by_ns in ((picked, -excess * picked.doubt_ns / doubt), (rival, excess * rival.doubt_ns / doubt)):
        if by_ns:
            entity.correct(by_ns, max(LEAST_DOUBT_NS, min(entity.doubt_ns, abs(by_ns))))
