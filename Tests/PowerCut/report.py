"""What campaign.py prints: one line per cut, and a table with the targets at the end."""

import sys

ROLES = ("vehicle", "topside")
KINDS = {"start": "during recovery", "any": "at any moment", "seal": "beside a seal", "write": "while the disk writes"}

HEAD = """\
              up  flush  cache         told of         gone at the next start    oldest lost   control
cut where      s     ms  writes lost  chunks   rows   chunks    torn  rows facts  ms   stall  gone torn rows oldest"""


def head():
    print(HEAD, flush=True)


def show(run):
    chunks, lost, torn = ("+".join(str(counts[role]) for role in ROLES)
                          for counts in (run.chunks, run.lost_chunks, run.torn))
    up = run.cut_at - (run.running or run.started or run.cut_at)
    cache = f"{run.fate} {run.cached[1]}/{run.cached[0]}"
    print(f"{run.number:3} {run.kind:5} {up:6.1f} {run.flush_ms:6g}  {cache:12} {chunks:>7} "
          f"{sum(run.sessions.values()):6}  {lost:>7} {torn:>7} {run.lost_rows:5} {run.lost_facts:5} "
          f"{run.oldest * 1000:4.0f} {run.stall() * 1000:6.0f} {run.control_lost:5} {run.control_torn:4} "
          f"{run.control_lost_rows:4} {run.control_oldest * 1000:6.0f}", flush=True)


def middle(values):
    return sorted(values)[len(values) // 2] * 1000 if values else 0


def most(values):
    return max(values, default=0) * 1000


def result(campaign):
    """Prints the table; the exit code."""
    options, cuts = campaign.options, campaign.judged
    writing = [run for run in cuts if run.rows]
    limit = options.commit_ms + 50
    chunks = sum(run.lost_chunks[role] for run in cuts for role in ROLES)
    torn = sum(run.torn[role] for run in cuts for role in ROLES)
    rows, facts = sum(run.lost_rows for run in cuts), sum(run.lost_facts for run in cuts)
    ages, control_ages = [run.oldest for run in writing], [run.control_oldest for run in writing]
    loud = [run for run in cuts if run.control_chunks]
    heard = [run for run in loud if run.control_lost + run.control_torn > 0]
    table = [
        ("chunks that were announced and are gone", chunks, 0, sum(run.control_lost for run in cuts)),
        ("chunks that are torn", torn, 0, sum(run.control_torn for run in cuts)),
        ("rows that were committed and are gone", rows, 0, sum(run.control_lost_rows for run in cuts)),
        ("facts that were announced and are gone", facts, 0, ""),
        ("other findings, of qnode verify too", len(campaign.findings), 0, ""),
        ("oldest lost row, ms: largest", f"{most(ages):.0f}", limit, f"{most(control_ages):.0f}"),
        ("                     median", f"{middle(ages):.0f}", "", f"{middle(control_ages):.0f}"),
    ]
    for flush in sorted(set(options.flush_ms)):
        some = [run.oldest for run in writing if run.flush_ms == flush]
        table.append((f"  a flush took {flush:g} ms: largest, median", f"{most(some):.0f}, {middle(some):.0f}", "", ""))
    print(f"\n{len(cuts)} cuts, seed {options.seed}: "
          + ", ".join(f"{sum(run.kind == kind for run in cuts)} {words}" for kind, words in KINDS.items())
          + "\nthe disk's unflushed writes: "
          + ", ".join(f"{fate} in {sum(run.fate == fate for run in cuts)}" for fate in ("kept", "gone", "some"))
          + f"; there were any in {sum(run.cached[0] > 0 for run in cuts)}"
          + f"\ntold before: {' and '.join(str(sum(run.chunks[role] for run in cuts)) for role in ROLES)} chunks of "
          + f"vehicle and topside, {sum(sum(run.sessions.values()) for run in cuts)} rows in {len(writing)} runs")
    if cuts:
        held, aside = (" and ".join(str(campaign.said[what][role]) for role in ROLES)
                       for what in ("chunks", "quarantine"))
        print(f"at the end: {held} chunks; in quarantine {aside} files")
    print(f"\n{'':42}{'nodes':>10}{'target':>8}{'control':>9}")
    for words, nodes, target, control in table:
        print(f"{words:42}{nodes:>10}{target:>8}{control:>9}")
    print(f"the control lost chunks in {len(heard)} of the {len(loud)} cuts before which it had told of any\n",
          flush=True)

    lost = chunks + torn + rows + facts + len(campaign.findings)
    if options.no_sync:
        print(f"without syncs {lost} losses were found, and {campaign.refusals} times a node did not start again")
        return 0 if lost + campaign.refusals else 1
    if loud and not heard:
        print("powercut: the control lost nothing, so nothing was shown", file=sys.stderr)
        return 1
    late = [run for run in writing if run.oldest * 1000 > limit]
    if late:
        stalled = sum(run.stall() > 0.05 for run in late)
        print(f"powercut: {len(late)} cuts cost rows older than {limit} ms; in {stalled} of them the guest had stood "
              "still for more than 50 ms", file=sys.stderr)
    if lost:
        print("powercut: what had been acknowledged is gone", file=sys.stderr)
    return 1 if late or lost else 0
