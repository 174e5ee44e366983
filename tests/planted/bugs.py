"""The bugs: what each would do to money or records, and the tests that must catch it."""

from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
CONTRACT: Final = "tests/contract/test_ledger.py::"
DECIDE: Final = "tests/unit/test_decide.py::"
RELAY: Final = "tests/unit/test_relay.py::"
DELIVERIES: Final = "tests/unit/test_relay_deliveries.py::"
HUB: Final = "tests/integration/test_hub_embedded.py::"
INTAKE: Final = "tests/integration/test_intake.py::"
BANK_FILE: Final = "tests/contract/test_take_bank_file.py::"
LANE: Final = "tests/unit/test_lane.py::"
SIMULATION: Final = "tests/simulation/test_simulation.py::"


class Bug(NamedTuple):
    """`old` occurs once in `file`; with `new` in its place every test in `caught_by` fails."""

    name: str
    harm: str
    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]


def plant(bug: Bug, root: Path) -> None:
    """Put the bug into the project at `root`. Raises ValueError unless its old text occurs exactly once."""
    file = root / bug.file
    text = file.read_text()
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: its old text is {text.count(bug.old)} times in {bug.file}; bring it up to date")
    file.write_text(text.replace(bug.old, bug.new))


BUGS: Final = (
    Bug(
        "marked published before the delivery report",
        "a crash between sending and delivery loses the output: nobody sends it again",
        "sinks/deliveries.py",
        "        self.sent = page.last\n",
        "        self.sent = self.delivered = page.last\n",
        (
            f"{RELAY}test_nothing_is_marked_that_the_broker_has_not_answered",
            f"{DELIVERIES}test_delivered_is_the_last_page_before_the_first_report_that_is_missing",
        ),
    ),
    Bug(
        "a failed delivery passed over",
        "one output is lost and the marks go on behind it",
        "sinks/deliveries.py",
        '            self.fail(f"a record was not delivered to {place[0]}/{place[1]}: {error.name()}")\n',
        "",
        (f"{DELIVERIES}test_delivered_is_the_last_page_before_the_first_report_that_is_missing",),
    ),
    Bug(
        "read-back skipped",
        "after a crash every output not yet marked is sent a second time, payment instructions too",
        "sinks/relay.py",
        "        if not self._ledger.outbox_after(lane.lane, lane.token, known.seq, 1):\n",
        "        if known.seq >= 0:\n",
        (f"{RELAY}test_nothing_is_sent_twice_after_a_crash_between_delivery_and_mark",),
    ),
    Bug(
        "read-back steps over a gap",
        "an output that never left counts as delivered because a later one did",
        "sinks/relay.py",
        "            while seq < rows[-1].seq and seq + 1 in found:\n                seq += 1\n",
        "            seq = max((number for number in found if number <= rows[-1].seq), default=seq)\n",
        (f"{RELAY}test_from_the_first_gap_on_everything_is_sent_again_in_order",),
    ),
    Bug(
        "a mark moved back",
        "a slow old owner makes the new one send again what is out",
        "sinks/ledger/postgres.py",
        "UPDATE relay r SET published = greatest(published, x.seq)",
        "UPDATE relay r SET published = x.seq",
        (f"{CONTRACT}test_published_marks_never_go_back[postgresql]",),
    ),
    Bug(
        "outbox read under a stale token",
        "an old owner of a lane publishes what the new one publishes",
        "sinks/ledger/postgres.py",
        "AND (SELECT token FROM lanes WHERE lane = %s) = %s ORDER BY seq",
        "AND (SELECT token FROM lanes WHERE lane = %s) >= %s ORDER BY seq",
        (f"{CONTRACT}test_the_outbox_is_read_in_order_under_the_right_token[postgresql]",),
    ),
    Bug(
        "output without its number",
        "a receiver cannot see a repeat, and read-back finds nothing",
        "sinks/envelope.py",
        '        ("seq", b"%d" % row.seq),\n',
        "",
        (f"{DECIDE}test_a_claim_goes_from_notice_to_instruction_and_every_output_names_cause_rule_and_reason",),
    ),
    Bug(
        "no token check",
        "a worker that was frozen writes over what the new owner of its lane has decided",
        "sinks/ledger/postgres.py",
        "WHERE lane = %s AND token = %s AND seq = %s AND entry = %s",
        "WHERE lane = %s AND token >= %s AND seq = %s AND entry = %s",
        (f"{CONTRACT}test_a_stale_token_writes_nothing[postgresql]",),
    ),
    Bug(
        "positions committed apart from the rows",
        "a failure between the two loses every record of the batch",
        "sinks/ledger/postgres.py",
        "            _check(cursor, commit)\n",
        "            _check(cursor, commit)\n"
        '            cursor.execute("COMMIT")\n            cursor.execute("BEGIN")\n',
        (f"{CONTRACT}test_a_refused_batch_moves_nothing[postgresql]",),
    ),
    Bug(
        "positions read in the statement that takes the lane",
        "the last owner's commit is missed: its records are applied once more, or the worker leaves for nothing",
        "sinks/ledger/postgres.py",
        '            taken = sorted(cursor.execute(_TAKE, {"lanes": list(lanes), "owner": owner}).fetchall())\n'
        "            # A statement of its own: its snapshot is younger than the row locks,"
        " so no commit before them is missed.\n"
        "            where = cursor.execute(_READ_POSITIONS, ([row[0] for row in taken],)).fetchall()\n",
        '            one = f"WITH got AS ({_TAKE}) SELECT got.*, topic, next, generation"\n'
        '            one = f"{one} FROM got JOIN positions USING (lane) JOIN topics USING (topic)"\n'
        '            both = cursor.execute(one, {"lanes": list(lanes), "owner": owner}).fetchall()\n'
        "            taken, where = sorted({row[:-3] for row in both}), [(row[0], *row[-3:]) for row in both]\n",
        (f"{CONTRACT}TestPostgresAlone::test_a_commit_between_a_takes_snapshot_and_its_lock_is_not_missed",),
    ),
    Bug(
        "ack in finally",
        "a batch that was not written counts as done: its records are lost",
        "streams/intake.py",
        '            log.warning("batch not written", lane=batch.lane.no, error=str(error))\n'
        "            self._failed(batch, Dropped.LEDGER)\n",
        '            log.warning("batch not written", lane=batch.lane.no, error=str(error))\n'
        "            self._committed(batch, [])\n",
        (f"{INTAKE}test_a_batch_that_may_not_be_written_comes_again_under_a_new_token",),
    ),
    Bug(
        "commit failure taken as not committed",
        "a batch whose commit was not answered is written a second time",
        "streams/intake.py",
        '            log.warning("batch not written", lane=batch.lane.no, error=str(error))\n'
        "            self._failed(batch, Dropped.LEDGER)\n",
        '            log.warning("batch not written", lane=batch.lane.no, error=str(error))\n'
        "            self._dispatch(batch)\n",
        (f"{INTAKE}test_a_batch_that_may_not_be_written_comes_again_under_a_new_token",),
    ),
    Bug(
        "two batches of a lane in flight",
        "the second decides on states the first has not written: an approval or a payment is overwritten",
        "streams/intake.py",
        "            if lane.busy or lane.dead or lane.stopped",
        "            if lane.dead or lane.stopped",
        (f"{INTAKE}test_a_lane_has_one_batch_in_flight_and_the_next_is_all_that_came_meanwhile",),
    ),
    Bug(
        "a record fetched twice taken twice",
        "what was still on its way when its lane was taken again comes once more: in the batch, or out of its order",
        "streams/intake.py",
        "        if record.offset >= lane.fetched[record.topic]:\n",
        "        if record.offset >= 0:\n",
        (f"{SIMULATION}test_no_seed_breaks_a_promise",),
    ),
    Bug(
        "a pause left behind",
        "a lane taken again stands still for good",
        "streams/intake.py",
        "            self._consumer.resume(places)  # a pause outlives assign() in the library\n",
        "            pass\n",
        (f"{INTAKE}test_a_partition_paused_when_its_lane_was_lost_is_read_again",),
    ),
    Bug(
        "a failed batch logged and passed over",
        "the lane stands still and nobody restarts the process",
        "streams/app.py",
        "                    self._leave(Exit.AGENT, ",
        "                    _ = (Exit.AGENT, ",
        (f"{HUB}test_a_fault_in_a_rule_ends_the_hub_with_the_position_unmoved",),
    ),
    Bug(
        "park releases out of order",
        "the newer of two waiting records of a claim is applied first",
        "streams/decide.py",
        "            state.parked.setdefault(parsed.entity, []).append(parsed)\n",
        "            state.parked.setdefault(parsed.entity, []).insert(0, parsed)\n",
        (f"{DECIDE}test_an_estimate_before_its_notice_waits_and_is_released_in_order",),
    ),
    Bug(
        "a record overtakes one that waits",
        "a claim's records are applied in another order than they were said in",
        "streams/decide.py",
        '            self._park(parsed, Park(f"{_BEHIND}{waiting[0].cause.ref}", ()))\n',
        "            self._apply(parsed)\n",
        (f"{DECIDE}test_an_estimate_before_its_notice_waits_and_is_released_in_order",),
    ),
    Bug(
        "dedupe window too short",
        "an event repeated late changes the claim a second time",
        "streams/decide.py",
        "else (*claim.seen, parsed.event_id)\n",
        "else (*claim.seen[-100:], parsed.event_id)\n",
        (f"{DECIDE}test_an_event_is_known_again_however_much_came_between",),
    ),
    Bug(
        "duplicate not journalled",
        "a record below the position is nowhere: nothing lost can no longer be shown",
        "streams/decide.py",
        "        if parsed.event_id in claim.seen:\n            self._journal(",
        "        if parsed.event_id in claim.seen:\n            _ = (",
        (f"{DECIDE}test_an_event_that_comes_twice_changes_the_claim_once",),
    ),
    Bug(
        "dead letter without bytes",
        "a record that could not be read can never be repaired",
        "streams/decide.py",
        "                dead.reason,\n"
        "                parsed.cause.at_ms,\n"
        "                parsed.timestamp_ms,\n"
        "                parsed.key,\n"
        "                parsed.headers,\n"
        "                parsed.value,\n",
        "                dead.reason,\n"
        "                parsed.cause.at_ms,\n"
        "                parsed.timestamp_ms,\n"
        "                parsed.key,\n"
        "                parsed.headers,\n"
        "                None,\n",
        (f"{DECIDE}test_bytes_that_are_no_record_become_a_dead_letter_with_those_bytes",),
    ),
    Bug(
        "a key in another lane's partition taken",
        "two lanes hold one claim, and each pays it",
        "streams/received.py",
        "        if right != self._lane:\n",
        "        if right > self._lanes:\n",
        ("tests/unit/test_received.py::test_a_key_in_another_lanes_partition_is_refused",),
    ),
    Bug(
        "retry without the same id",
        "a batch decided again after a crash pays under another id: two effective instructions",
        "streams/rules/payments.py",
        'derived_id("PI", claim, settlement_version, payee, attempt)',
        'derived_id("PI", claim, settlement_version, payee, attempt, __import__("uuid").uuid4())',
        (
            "tests/unit/rules/test_payments.py::test_the_id_is_derived_and_its_own_for_every_part",
            f"{DECIDE}test_batch_sizes_do_not_show_in_the_rows",
        ),
    ),
    Bug(
        "clock read inside a rule",
        "the journal replayed gives another ledger, and another instruction",
        "streams/rules/payments.py",
        "        issued_at_ms=cause.at_ms,\n",
        '        issued_at_ms=__import__("time").time_ns() // 1_000_000,\n',
        ("tests/unit/rules/test_pure.py::test_no_rule_reads_a_clock_or_a_random_number",),
    ),
    Bug(
        "a tick cleared apart from its outbox row",
        "after a crash between the two nobody is warned, and no breach is ever recorded",
        "streams/lanes.py",
        "        self._ledger.commit(commit)\n",
        "        alone = {'lane': lane.no, 'token': lane.token, 'seq': seq, 'entry': entry, 'positions': []}\n"
        "        if commit.ticked:\n"
        "            self._ledger.commit(LaneCommit(**alone, ticked=commit.ticked))\n"
        "        self._ledger.commit(commit)\n",
        (f"{SIMULATION}test_no_seed_breaks_a_promise",),
    ),
    Bug(
        "the payee left out of what is signed",
        "whoever can write to the topic has a genuine instruction paid to an account of theirs",
        "schemas/signing.py",
        "        sha256(_netstrings(payee.name, payee.account, payee.bank_code)).hexdigest(),\n",
        "",
        ("tests/unit/schemas/test_signing.py::test_another_payee_of_the_same_letters_is_another_payee",),
    ),
    Bug(
        "a signature not looked at by who pays",
        "any record on the topic is money: a forged instruction stands in the next payment file",
        "sinks/payments/instructions.py",
        '            "state": BankState.DUE if good else BankState.REFUSED,\n',
        '            "state": BankState.DUE,\n',
        (
            "tests/contract/test_payment_files.py::test_a_forged_instruction_is_never_paid_and_takes_no_genuine_ones_place",
        ),
    ),
    Bug(
        "float money",
        "a settlement falls a minor unit short",
        "streams/rules/settlement.py",
        "Fraction(amount * rate_bp, WHOLE_BP)",
        "Fraction(float(amount) * (rate_bp / WHOLE_BP))",
        ("tests/unit/rules/test_settlement.py::test_a_share_that_ends_in_half_a_minor_unit_is_exact",),
    ),
    Bug(
        "one person in two roles",
        "whoever proposes a payment approves it as well",
        "streams/rules/authority.py",
        "        if approval.person == decision.person:\n",
        "        if approval.person == decision.role:\n",
        ("tests/unit/rules/test_authority.py::test_no_second_role_no_second_holder_no_idle_role",),
    ),
    Bug(
        "the same person confirms",
        "one person alone says that a payment was made, or that it may be paid once more",
        "streams/reconciliation/clearing.py",
        "    if confirms and waiting is not None and same_person(waiting.person, person):\n",
        "    if confirms and waiting is not None and not person:\n",
        (
            "tests/contract/test_clearing.py::test_the_same_person_cannot_confirm",
            "tests/e2e/test_clearing.py::test_what_is_not_two_people_or_cannot_be_is_refused",
        ),
    ),
    Bug(
        "a line that is not booked yet counts as money",
        "a payment that the bank may still refuse stands as paid, and its claim tells the payee so",
        "streams/reconciliation/bank_file.py",
        "        if entry.status != _BOOKED:\n",
        "        if entry.status is None:\n",
        (f"{BANK_FILE}test_a_booked_line_is_a_payment_a_return_a_break_or_other",),
    ),
    Bug(
        "a rejection as a duplicate taken for a rejection",
        "the earlier send has probably landed: the claim is paid a second time",
        "streams/reconciliation/matching.py",
        "reason_code in MAYBE_PAID:\n        return BankState.UNKNOWN\n",
        "reason_code in MAYBE_PAID:\n        return said\n",
        (f"{BANK_FILE}test_a_rejection_as_a_duplicate_leaves_the_end_unknown",),
    ),
    Bug(
        "what the client skipped is believed",
        "after a rebalance the client may go on behind records nobody was given: they are stepped over for good",
        "streams/lanes.py",
        "        if offset > self.fetched[topic] and not self.unproven[topic]:\n",
        "        if False:\n",
        (f"{SIMULATION}test_no_seed_breaks_a_promise", f"{LANE}test_what_skips_records_is_asked_for_once_more"),
    ),
    Bug(
        "people above the bank",
        "two people make unpaid what the bank has booked, and the claim pays it once more",
        "streams/reconciliation/closures.py",
        "        if state in _SAYS_OTHERWISE[end]:\n",
        "        if state == _SAYS_OTHERWISE[end]:\n",
        (
            "tests/contract/test_closures.py::test_where_a_payment_stands_that_two_people_close",
            "tests/e2e/test_clearing.py::test_what_is_not_two_people_or_cannot_be_is_refused",
        ),
    ),
)
