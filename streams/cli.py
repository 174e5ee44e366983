"""The command line: every verb of `claimhub`. A verb imports what it needs itself, so that --help is quick."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sinks.payments.book import Resolution
from streams.commands.failures import FAILED, exit_code

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from streams.commands.deliver import Outgoing
    from streams.commands.keys import KeyRow
    from streams.settings import Settings

Found = TypeVar("Found")

app = typer.Typer(
    name="claimhub",
    help="The integration hub of an insurer's claims department.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _noun(name: str, about: str) -> typer.Typer:
    group = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group


claim = _noun("claim", "One claim: how it stands, what happened, and why.")
parked = _noun("parked", "Records that wait for another record or a person.")
breaks = _noun("breaks", "What does not fit and somebody has to clear.")
clocks = _noun("clocks", "The law's clocks: what must be done by when.")
dead_letters = _noun("dead-letters", "Records that could not be taken.")
payments = _noun("payments", "Payment attempts.")
positions = _noun("positions", "Where the hub stands in each log.")
topics = _noun("topics", "The topics of the registry.")
schemas = _noun("schemas", "The schemas in the schema registry.")
reconcile = _noun("reconcile", "What we say was paid against what the bank says.")
bank = _noun("bank", "What the bank says of payments.")
keys = _noun("keys", "The keys that sign payment instructions.")
sync = _noun("sync", "Which department has seen which version of each claim.")
work = _noun("work", "What waits for a person, and acting on it.")
config = _noun("config", "The settings.")
stack = _noun("stack", "Real Kafka, PostgreSQL and schema registry on this machine.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything and say what would be done; do nothing.")]
ClaimNumber = Annotated[str, typer.Argument(metavar="CLAIM", help="Claim number.")]
Person = Annotated[str, typer.Option("--by", help="Who says so: their name in the hub, such as handler-07.")]
PersonRole = Annotated[str, typer.Option("--role", help="The part they play: as `work ls` says who is asked.")]
Finance = Annotated[str, typer.Option("--person", help="Who does so: their name in the hub, such as cashier-01.")]
Instruction = Annotated[str, typer.Argument(metavar="INSTRUCTION", help="As `payments ls` lists it.")]
BreakId = Annotated[str, typer.Argument(metavar="ID", help="As `breaks ls` lists it.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="A key's id, as `keys ls` shows it.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is kept with the decision.")]
OneClaim = Annotated[str | None, typer.Option("--claim", help="Only of this claim or policy number.")]


def main() -> None:
    """Run a command. What can be expected to go wrong is one sentence on stderr and an exit code."""
    try:
        app()
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        print(f"claimhub: {error}", file=sys.stderr)
        sys.exit(code)


# -- running


@app.command()
def up(
    role: Annotated[str, typer.Option(help="worker; by default all roles run in this process.")] = "all",
) -> None:
    """Run the hub until SIGTERM, which drains it."""
    from streams.commands import up as hub
    from streams.settings import load_settings

    hub.check_role(role)
    raise typer.Exit(hub.run(load_settings()))


@app.command()
def migrate() -> None:
    """Make the ledger's tables, or bring them to this version."""
    from streams.commands import ledger, show
    from streams.settings import load_settings

    show.note(f"claimhub: {ledger.run_migrations(load_settings())} is of this version")


@app.command()
def demo(
    every: Annotated[bool, typer.Option("--all", help="Every story, not only the three short ones.")] = False,
    bank: Annotated[bool, typer.Option("--bank", help="Payments that go wrong, with the files of a bank.")] = False,
    stack: Annotated[bool, typer.Option("--stack", help="On Kafka and PostgreSQL, started for it.")] = False,
    as_json: Json = False,
) -> None:
    """Play three claims, or all that there is a story of, through the hub, here and now, without any service."""
    from streams.demo.play import run_demo

    raise typer.Exit(run_demo(json=as_json, every=every, stack=stack, bank=bank))


@app.command()
def bench(
    part: Annotated[list[str] | None, typer.Option(help="Only this part; may be given again. By default all.")] = None,
    chart: Annotated[Path | None, typer.Option(help="Also draw the figures into this SVG file.")] = None,
    as_json: Json = False,
) -> None:
    """Measure the hub on services of its own, against a plain program that writes the same rows."""
    from streams.bench.run import run_bench

    run_bench(part or [], as_json=as_json, chart_file=chart)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is missing, and the command that mends it."""
    from streams.commands import doctor as checks

    found = checks.read_checks()
    _print(found, checks.show_checks, as_json)
    if not all(check.ok for check in found):
        raise typer.Exit(FAILED)


@app.command()
def verify(
    topics: Annotated[bool, typer.Option("--topics", help="Also compare the outbox with what Kafka holds.")] = False,
    as_json: Json = False,
) -> None:
    """Check the ledger's promises; exit 1 with the offending rows when one is broken."""
    from streams.commands import verify as promises
    from streams.settings import load_settings

    found = promises.read_verification(load_settings(), topics=topics)
    _print(found, promises.show_verification, as_json)
    if not found.ok:
        raise typer.Exit(FAILED)


@app.command()
def replay(
    from_journal: Annotated[bool, typer.Option("--from-journal", help="Replay what the ledger took.")] = False,
    into: Annotated[str | None, typer.Option(metavar="URL", help="The empty ledger to rebuild into.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Records in one batch of the rebuild.")] = 500,
    since: Annotated[str | None, typer.Option(help="Only compare outputs, of records from this time on.")] = None,
    until: Annotated[str | None, typer.Option(help="Only compare outputs, of records before this time.")] = None,
    claim: Annotated[str | None, typer.Option(help="Only compare outputs, of this claim or policy number.")] = None,
    as_json: Json = False,
) -> None:
    """Decide all that the ledger took again, with nothing sent; exit 1 when it comes to something else.

    Rebuilds the whole ledger into an empty one, or compares the outputs of a window with what today's rules send.
    """
    from streams.commands import replay as replays
    from streams.settings import load_settings

    window = (since, until, claim)
    replays.check_use(from_journal=from_journal, into=into, window=window)
    if into is None:
        outputs = replays.read_window(load_settings(), *window)
        _print(outputs, replays.show_window, as_json)
        same = not outputs.changes
    else:
        rebuilt = replays.rebuild_ledger(load_settings(), into, batch_size)
        _print(rebuilt, replays.show_rebuilt, as_json)
        same = rebuilt.equal
    if not same:
        raise typer.Exit(FAILED)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    print(version_of("claimhub"))


# -- setting up


@topics.command("ls")
def topics_ls(as_json: Json = False) -> None:
    """List the topics of the registry."""
    from streams.commands import topics as registry

    found = registry.read_topics()
    _print(found, registry.show_topics, as_json)


@topics.command("apply")
def topics_apply(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Make the missing topics in Kafka; exit 1 when one that is there has another partition count."""
    from streams.commands import topics as registry
    from streams.settings import load_settings

    applied = registry.apply(load_settings(), dry_run=dry_run)
    _print(applied, registry.show_applied, as_json)
    if applied.mismatched:
        raise typer.Exit(FAILED)


@topics.command("asyncapi")
def topics_asyncapi() -> None:
    """Print the topics as an AsyncAPI 3.0 document: channels, messages with their Avro schemas, keys, headers."""
    from schemas.asyncapi import asyncapi
    from streams.commands import show

    show.as_json(asyncapi())


@schemas.command("register")
def schemas_register(as_json: Json = False) -> None:
    """Register the schema of every topic, and its subject's compatibility."""
    from streams.commands import schemas as registry
    from streams.commands import show
    from streams.settings import load_settings

    ids = registry.register(load_settings())
    show.as_json(ids) if as_json else show.pairs(list(ids.items()))


@config.command("show")
def config_show(as_json: Json = False) -> None:
    """Show every setting: its value, where it comes from, what it means. Secrets are not shown."""
    from streams.commands import config as settings
    from streams.settings import load_settings

    found = settings.read_settings()
    _print(found, settings.show_settings, as_json)
    load_settings()


@stack.command("up")
def stack_up(
    registry: Annotated[bool, typer.Option("--registry", help="Also the schema registry (160 MB, once).")] = False,
) -> None:
    """Start the services that do not run yet, and print the environment that uses them."""
    from streams.commands import stack as services
    from streams.settings import load_settings

    services.show_next_steps(services.open_stack(load_settings()).up(registry=registry))


@stack.command("down")
def stack_down() -> None:
    """Stop the services; their data stays."""
    from streams.commands import stack as services
    from streams.settings import load_settings

    services.open_stack(load_settings()).down()


@stack.command("status")
def stack_status(as_json: Json = False) -> None:
    """Show which services run, and where."""
    from streams.commands import stack as services
    from streams.settings import load_settings

    found = services.open_stack(load_settings()).status()
    _print(found, services.show_services, as_json)


# -- looking


@claim.command("show")
def claim_show(number: ClaimNumber, as_json: Json = False) -> None:
    """Show how a claim stands."""
    from streams.commands import claim as claims

    _print_from_ledger(lambda ledger: claims.read_claim(ledger, number), claims.show_claim, as_json)


@claim.command("timeline")
def claim_timeline(number: ClaimNumber, as_json: Json = False) -> None:
    """Show all that came for a claim and all that went out, in order."""
    from streams.commands import timeline

    _print_from_ledger(lambda ledger: timeline.read_timeline(ledger, number), timeline.show_timeline, as_json)


@claim.command("why")
def claim_why(
    number: ClaimNumber,
    output: Annotated[str | None, typer.Option(help="Only this output: its number, or a topic.")] = None,
    as_json: Json = False,
) -> None:
    """Explain each output of a claim: rule, reason, causing record, and what that was caused by."""
    from streams.commands import why

    _print_from_ledger(lambda ledger: why.read_explanations(ledger, number, output), why.show_explanations, as_json)


@claim.command("archive")
def claim_archive(
    number: Annotated[str | None, typer.Argument(metavar="[CLAIM]", help="Claim number.")] = None,
    to: Annotated[Path | None, typer.Option(help="Write the case file into this new folder.")] = None,
    check: Annotated[Path | None, typer.Option(help="Check the case file in this folder; exit 1 when broken.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Check without asking the ledger.")] = False,
    as_json: Json = False,
) -> None:
    """Write a claim's case file, every record with its bytes in a hash chain; or check one. It holds personal data."""
    from streams.commands import archive
    from streams.commands.failures import WrongInput
    from streams.settings import load_settings

    if (number is None) is (check is None) or (number is None) is not (to is None):
        raise WrongInput("say either CLAIM --to FOLDER or --check FOLDER")
    if number is not None and to is not None:
        _print(archive.archive(load_settings(), number, to), archive.show_archived, as_json)
    elif check is not None:
        found = archive.check(load_settings(), check, offline=offline)
        _print(found, archive.show_checked, as_json)
        if found.broken:
            raise typer.Exit(FAILED)


@app.command()
def reports(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which report; ls lists them.")],
    since: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Only from this day on.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Only up to this day.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    publish: Annotated[
        bool,
        typer.Option(
            "--publish", help="Of peers: compare all records to come with them, and tell the open claims above them."
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Count and compare: first bring the figures up to date with what was sent, then report."""
    from streams.commands import failures
    from streams.commands import reports as figures
    from streams.settings import load_settings

    settings = load_settings()
    if publish and name != figures.PEERS:
        raise failures.WrongInput(f"--publish goes with the report {figures.PEERS}")
    if publish:
        told = figures.publish_peers(settings, since, until, dry_run=dry_run)
        _deliver(settings, told, dry_run=dry_run, as_json=as_json)
        return
    figures.print_report(figures.read_report(settings, name, since, until), as_csv=as_csv, as_json=as_json)


@payments.command("ls")
def payments_ls(claim: OneClaim = None, as_json: Json = False) -> None:
    """List payment attempts, oldest first."""
    from streams.commands import payments as attempts

    _print_from_ledger(lambda ledger: attempts.read_payments(ledger, claim), attempts.show_payments, as_json)


@payments.command("show")
def payments_show(instruction: Instruction, as_json: Json = False) -> None:
    """Show how a payment stands: in finance's book, and in its claim."""
    from streams.commands import payment

    _print_from_ledger(lambda ledger: payment.read_payment(ledger, instruction), payment.show_payment, as_json)


@payments.command("hold")
def payments_hold(instruction: Instruction, person: Finance, reason: Why, as_json: Json = False) -> None:
    """Keep a payment out of every file for the bank; exit 1, with nothing changed, once it is in one."""
    from streams.commands import payment
    from streams.settings import load_settings

    _print(payment.hold(load_settings(), instruction, person, reason), payment.show_payment, as_json)


@payments.command("release")
def payments_release(instruction: Instruction, person: Finance, reason: Why, as_json: Json = False) -> None:
    """Let a held payment go; exit 1, with nothing changed, for the person who holds it."""
    from streams.commands import payment
    from streams.settings import load_settings

    _print(payment.release(load_settings(), instruction, person, reason), payment.show_payment, as_json)


@payments.command("timeline")
def payments_timeline(instruction: Instruction, as_json: Json = False) -> None:
    """Show all that happened to a payment: in its claim, in finance's book, at the bank, and what people did."""
    from streams.commands import payment_timeline as timeline

    _print_from_ledger(
        lambda ledger: timeline.read_payment_timeline(ledger, instruction), timeline.show_payment_timeline, as_json
    )


@payments.command("export")
def payments_export(
    out: Annotated[Path | None, typer.Option(help="Write payment files into this folder.")] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Up to this value date; by default what the bank still takes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take new instructions in, show what is due and what is held and why, and with --out write the bank's files.

    Exit 1 when an instruction came that is not genuine, or a currency has no account to pay from."""
    from streams.commands import export as files
    from streams.settings import load_settings

    found = files.export(load_settings(), out, as_of)
    _print(found, files.show_exported, as_json)
    if not found.ok:
        raise typer.Exit(FAILED)


@clocks.command("ls")
def clocks_ls(as_json: Json = False) -> None:
    """List the clocks that run, the first due first."""
    from streams.commands import clocks as running

    _print_from_ledger(running.read_open_clocks, running.show_open_clocks, as_json)


@clocks.command("explain")
def clocks_explain(number: ClaimNumber, as_json: Json = False) -> None:
    """Explain each clock of a claim: every start, pause, resume, warning, breach and end, with the record behind it."""
    from streams.commands import clocks as running

    _print_from_ledger(lambda ledger: running.explain_clocks(ledger, number), running.show_explained, as_json)


@parked.command("ls")
def parked_ls(claim: OneClaim = None, as_json: Json = False) -> None:
    """List the records that wait, oldest first."""
    from streams.commands import parked as records

    _print_from_ledger(lambda ledger: records.read_parked(ledger, claim), records.show_parked, as_json)


@positions.command("ls")
def positions_ls(as_json: Json = False) -> None:
    """List where the hub stands in each log, what waits there, and what was deleted unread."""
    from streams.commands import positions as places
    from streams.settings import load_settings

    found = places.read_positions(load_settings())
    _print(found, places.show_positions, as_json)


@keys.command("ls")
def keys_ls(as_json: Json = False) -> None:
    """List the keys: live, retired or revoked, since when, by whom and why."""
    from streams.commands import keys as signing
    from streams.settings import load_settings

    _print(signing.read_keys(load_settings()), signing.show_keys, as_json)


@keys.command("export")
def keys_export() -> None:
    """Print the public keys: the keys.json of whoever verifies. It holds no secret."""
    from streams.commands import keys as signing
    from streams.commands import show
    from streams.settings import load_settings

    show.line(signing.export(load_settings()).removesuffix("\n"))


@keys.command("verify")
def keys_verify(
    file: Annotated[
        str | None,
        typer.Argument(help="JSON or NDJSON of {headers, record}, the signature in hex; by default Kafka's topic."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say of each payment instruction what its signature is worth; exit 1 unless all are good."""
    from streams.commands import keys as signing
    from streams.commands.send import read_file
    from streams.settings import load_settings

    settings = load_settings()
    found = signing.verify_topic(settings) if file is None else signing.verify_rows(settings, *read_file(file))
    _print(found, signing.show_verification, as_json)
    if not found.ok:
        raise typer.Exit(FAILED)


@sync.command("ls")
def sync_ls(
    department: Annotated[str | None, typer.Option(help="Only this department.")] = None,
    drift: Annotated[
        bool, typer.Option("--drift", help="Only those that are behind; exit 1 when one is for longer than its limit.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List how many claims each department is behind with, and for how long."""
    from streams.commands import sync as board
    from streams.settings import load_settings

    found = board.read_departments(load_settings(), department, drifting=drift)
    _print(found, board.show_departments, as_json)
    if drift and any(one.alarm for one in found):
        raise typer.Exit(FAILED)


@sync.command("show")
def sync_show(number: ClaimNumber, as_json: Json = False) -> None:
    """Show which version of a claim was sent, and which each department has seen."""
    from streams.commands import sync as board
    from streams.settings import load_settings

    found = board.read_claim(load_settings(), number)
    _print(found, board.show_claim, as_json)


@work.command("ls")
def work_ls(
    role: Annotated[str | None, typer.Option(help="Only what this role is asked.")] = None, as_json: Json = False
) -> None:
    """List what waits for a person's decision or answer, the first due first."""
    from streams.commands import work as queue

    _print_from_ledger(lambda ledger: queue.read_queue(ledger, role), queue.show_queue, as_json)


@breaks.command("ls")
def breaks_ls(
    owner: Annotated[str | None, typer.Option(help="Only those this department clears.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that are cleared.")] = False,
    as_json: Json = False,
) -> None:
    """List the open breaks with owner, age and reason, the oldest first."""
    from streams.commands import breaks as raised

    _print_from_ledger(lambda ledger: raised.read_breaks(ledger, owner, every=every), raised.show_breaks, as_json)


@breaks.command("show")
def breaks_show(id_: BreakId, as_json: Json = False) -> None:
    """Show one break: what does not fit, where it was found, what people did, and how it ended."""
    from streams.commands import breaks as raised

    _print_from_ledger(lambda ledger: raised.read_break(ledger, id_), raised.show_break, as_json)


@breaks.command("assign")
def breaks_assign(
    id_: BreakId,
    owner: Annotated[str, typer.Option("--to", help="Whose it is from now on: a department or a person.")],
    person: Finance,
    reason: Why,
    as_json: Json = False,
) -> None:
    """Give a break to somebody; exit 1, with nothing changed, once it has ended."""
    from streams.commands import breaks as raised
    from streams.commands import clearing
    from streams.settings import load_settings

    found = clearing.assign_break(load_settings(), id_, owner=owner, person=person, reason=reason)
    _print(found, raised.show_break, as_json)


@breaks.command("resolve")
def breaks_resolve(
    id_: BreakId,
    end: Annotated[Resolution, typer.Option("--as", help="What became of its payment; explained leaves it as it is.")],
    person: Finance,
    reason: Why,
    as_json: Json = False,
) -> None:
    """Say how a break ends: one person proposes it, another confirms. Exit 1, with nothing changed, when it cannot."""
    from streams.commands import breaks as raised
    from streams.commands import clearing
    from streams.settings import load_settings

    found = clearing.resolve_break(load_settings(), id_, end=end, person=person, reason=reason)
    _print(found, raised.show_break, as_json)


@dead_letters.command("ls")
def dead_letters_ls(as_json: Json = False) -> None:
    """List the dead letters, oldest first."""
    from streams.commands import dead_letters as letters

    _print_from_ledger(letters.read_dead_letters, letters.show_dead_letters, as_json)


@dead_letters.command("show")
def dead_letters_show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="topic/generation/partition/offset")],
    save: Annotated[Path | None, typer.Option(help="Also write the original bytes to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a dead letter is and why, without any of its values."""
    from streams.commands import dead_letters as letters
    from streams.commands import ledger, show
    from streams.settings import load_settings

    with ledger.open_connection(load_settings()) as connection:
        found = letters.read_dead_letter(connection, letter)
        if save is not None:
            show.note(f"claimhub: {letters.save_value(connection, letter, save)} bytes written to {save}")
    _print(found, letters.show_dead_letter, as_json)


# -- acting


@app.command()
def send(
    topic: Annotated[str, typer.Argument(help="An inbound topic; see: claimhub topics ls")],
    file: Annotated[str, typer.Argument(help="JSON: a record, a list, a {key, record} example; or NDJSON; - is stdin")],
    key: Annotated[str | None, typer.Option(help="Send under this key instead of each record's own.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send records to a topic: all of them, or none when one is wrong. Sending a file twice changes nothing."""
    from streams.commands import send as sending
    from streams.settings import load_settings

    settings = load_settings()
    records = sending.outgoing(settings, topic, sending.read_records(topic, *sending.read_file(file)), key)
    _deliver(settings, records, dry_run=dry_run, as_json=as_json)


@parked.command("retry")
def parked_retry(number: ClaimNumber, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Have a claim's waiting records tried again."""
    from streams.commands import ledger
    from streams.commands import parked as records
    from streams.settings import load_settings

    settings = load_settings()
    with ledger.open_connection(settings) as connection:
        wake = records.wake(settings, connection, number)
    _deliver(settings, [wake], dry_run=dry_run, as_json=as_json)


@app.command()
def resync(
    number: ClaimNumber,
    department: Annotated[str, typer.Argument(metavar="DEPARTMENT", help="Who is to get it.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send a claim's snapshot to one department once more, and nothing else to nobody else."""
    from streams.commands import ledger
    from streams.commands import sync as board
    from streams.settings import load_settings

    settings = load_settings()
    with ledger.open_connection(settings) as connection:
        command = board.resync(settings, connection, number, department)
    _deliver(settings, [command], dry_run=dry_run, as_json=as_json)


OneSettlement = Annotated[
    int | None, typer.Option("--settlement", min=1, help="The settlement version that is meant; by default the newest.")
]


OneComplaint = Annotated[
    str | None, typer.Option("--complaint", help="The contact that made the complaint; by default the one open.")
]


@work.command("approve")
def work_approve(
    number: ClaimNumber,
    person: Person,
    role: PersonRole,
    reason: Why,
    settlement: OneSettlement = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Approve the settlement of a claim; exit 1, with nothing sent, when the hub would refuse it."""
    _decide(number, "approve", person, role, reason, settlement, dry_run=dry_run, as_json=as_json)


@work.command("reject")
def work_reject(
    number: ClaimNumber,
    person: Person,
    role: PersonRole,
    reason: Why,
    settlement: OneSettlement = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Reject a claim whose settlement is up for approval; exit 1, with nothing sent, when the hub would refuse it."""
    _decide(number, "reject", person, role, reason, settlement, dry_run=dry_run, as_json=as_json)


@work.command("reopen")
def work_reopen(
    number: ClaimNumber, person: Person, role: PersonRole, reason: Why, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Take up a claim again that has ended; exit 1, with nothing sent, when the hub would refuse it."""
    _act(number, "reopen", {}, person, role, reason, dry_run=dry_run, as_json=as_json)


@work.command("answer-complaint")
def work_answer_complaint(
    number: ClaimNumber,
    person: Person,
    role: PersonRole,
    reason: Annotated[str, typer.Option("--reason", help="The answer itself; the customer is told it.")],
    complaint: OneComplaint = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Answer a complaint; exit 1, with nothing sent, when there is none to answer."""
    about = {"contact_id": complaint}
    _act(number, "answer-complaint", about, person, role, reason, dry_run=dry_run, as_json=as_json)


@work.command("extend-complaint")
def work_extend_complaint(
    number: ClaimNumber,
    person: Person,
    role: PersonRole,
    reason: Why,
    complaint: OneComplaint = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Allow more days to answer a complaint, once; exit 1, with nothing sent, when the hub would refuse it."""
    about = {"contact_id": complaint}
    _act(number, "extend-complaint", about, person, role, reason, dry_run=dry_run, as_json=as_json)


@work.command("refer-legal")
def work_refer_legal(
    number: ClaimNumber,
    person: Person,
    role: PersonRole,
    reason: Why,
    settlement: OneSettlement = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Ask legal about a claim's settlement; exit 1, with nothing sent, when legal is asked already."""
    about = {"settlement_version": settlement}
    _act(number, "refer-legal", about, person, role, reason, dry_run=dry_run, as_json=as_json)


@work.command("refer-siu")
def work_refer_siu(
    number: ClaimNumber,
    person: Person,
    role: PersonRole,
    reason: Annotated[str, typer.Option("--reason", help="Why; SIU is told it as evidence.")],
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Ask SIU to look into a claim, whatever its risk; exit 1, with nothing sent, when SIU is asked already."""
    _act(number, "refer-siu", {}, person, role, reason, dry_run=dry_run, as_json=as_json)


@work.command("cancel-payment")
def work_cancel_payment(
    number: ClaimNumber,
    person: Person,
    role: PersonRole,
    reason: Why,
    instruction: Annotated[
        str | None, typer.Option("--instruction", help="Which payment; by default the one that is on its way.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Ask finance to stop a payment that is not final; exit 1, with nothing sent, when it is, or without authority."""
    about = {"instruction_id": instruction}
    _act(number, "cancel-payment", about, person, role, reason, dry_run=dry_run, as_json=as_json)


@work.command("answer")
def work_answer(
    number: ClaimNumber,
    person: Person,
    role: PersonRole,
    reason: Why,
    fields: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="The answer itself.")] = None,
    task: Annotated[str | None, typer.Option(help="Which question, when the claim waits for several.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Answer what a claim has asked, as in --set agreed=true; exit 1, with nothing sent, when nothing was asked."""
    from streams.commands import ledger
    from streams.commands import work as queue
    from streams.commands.send import open_codec
    from streams.settings import load_settings

    settings = load_settings()
    with ledger.open_connection(settings) as connection:
        said = queue.answer(
            open_codec(settings), connection, number, task, fields or [], person=person, role=role, reason=reason
        )
    _deliver(settings, [said], dry_run=dry_run, as_json=as_json)


@dead_letters.command("redrive")
def dead_letters_redrive(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="topic/generation/partition/offset")],
    again: Annotated[bool, typer.Option("--again", help="Also those that were redriven before.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send the original bytes of dead letters once more, with their key and headers."""
    from streams.commands import dead_letters as letters
    from streams.commands import ledger
    from streams.settings import load_settings

    settings = load_settings()
    with ledger.open_connection(settings) as connection:
        records = letters.redrive(connection, ids, again=again)
    _deliver(settings, records, dry_run=dry_run, as_json=as_json)
    if not dry_run:
        with ledger.open_connection(settings) as connection:
            letters.mark_redriven(connection, ids)


@positions.command("accept-loss")
def positions_accept_loss(
    place: Annotated[str, typer.Argument(metavar="TOPIC/LANE", help="Where records were deleted unread.")],
    reason: Annotated[str, typer.Option(help="Why the records may be given up; kept with your name.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without this the command only says what would be lost.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go on without records that Kafka deleted before they were read. Exit 1, with nothing changed, without --yes."""
    from streams.commands import positions as places
    from streams.settings import load_settings

    loss = places.accept_loss(load_settings(), place, reason, yes=yes)
    _print(loss, places.show_loss, as_json)
    if not yes:
        raise typer.Exit(FAILED)


@keys.command("new")
def keys_new(person: Person, reason: Why, as_json: Json = False) -> None:
    """Make a key, live at once: running workers sign with it within seconds. At most two are live."""
    from streams.commands import keys as signing
    from streams.settings import load_settings

    _key_changed(signing.make(load_settings(), person, reason), as_json)


@keys.command("retire")
def keys_retire(key: KeyId, person: Person, reason: Why, as_json: Json = False) -> None:
    """Let a key sign no more; what it signed stays good. Its private half is deleted."""
    from streams.commands import keys as signing
    from streams.settings import load_settings

    _key_changed(signing.retire(load_settings(), key, person, reason), as_json)


@keys.command("revoke")
def keys_revoke(key: KeyId, person: Person, reason: Why, as_json: Json = False) -> None:
    """Have all that a key ever signed refused. Without another live key the workers stop."""
    from streams.commands import keys as signing
    from streams.settings import load_settings

    _key_changed(signing.revoke(load_settings(), key, person, reason), as_json)


@bank.command("read")
def bank_read(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pain.002, camt.053 or camt.054 file.")],
    as_json: Json = False,
) -> None:
    """Show what a bank's file says: statuses, entries, balances, and what is odd about it. Touches no ledger."""
    from streams.commands import bank as messages

    _print(messages.read_bank_file(file), messages.show_bank_message, as_json)


@reconcile.command("run")
def reconcile_run(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="What the bank sent: pain.002, camt.053, camt.054.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The day by which payments are overdue; by default today."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take the bank's files into the book, raise breaks for what does not fit, and tell the claims. A file that was
    taken before changes nothing. Exit 2 when one may not be read; it stops none of the others."""
    from streams.commands import reconcile as runs
    from streams.commands.failures import WRONG_USE
    from streams.settings import load_settings

    found = runs.run_reconciliation(load_settings(), files or [], as_of)
    _print(found, runs.show_reconciled, as_json)
    if found.refused:
        raise typer.Exit(WRONG_USE)


@reconcile.command("report")
def reconcile_report(
    account: Annotated[str | None, typer.Option(help="Only of this account: its number, or the last digits.")] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Only from this day on.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Only up to this day.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Show per account and day what we say was paid, what the bank booked, and whether its balances add up."""
    from streams.commands import ledger, reports
    from streams.commands import reconcile_report as figures
    from streams.settings import load_settings

    with ledger.open_connection(load_settings()) as connection:
        found = figures.read_report(connection, account, since, until)
    reports.print_report(found, as_csv=as_csv, as_json=as_json)


@app.command()
def settle(
    product: Annotated[Path | None, typer.Option(help="A product file: its own covers may be settled too.")] = None,
    as_json: Json = False,
) -> None:
    """Compute what is owed in the case, or list of cases, on standard input. Touches no ledger."""
    from streams.commands import send
    from streams.commands import settle as cases

    steps = cases.read_steps(product)
    text, _ = send.read_file("-")
    found = cases.settle_all(text, steps)
    _print(found, cases.show_settlement, as_json)


# -- what verbs share


def _print(found: Found, for_people: Callable[[Found], None], as_json: bool) -> None:
    from streams.commands import show

    show.as_json(found) if as_json else for_people(found)


def _print_from_ledger(
    read: "Callable[[Connection], Found]", for_people: Callable[[Found], None], as_json: bool
) -> None:
    from streams.commands import ledger
    from streams.settings import load_settings

    with ledger.open_connection(load_settings()) as connection:
        found = read(connection)
    _print(found, for_people, as_json)


def _key_changed(row: "KeyRow", as_json: bool) -> None:
    from streams.commands import keys as signing

    _print([row], signing.show_keys, as_json)


def _decide(
    number: str, action: str, person: str, role: str, reason: str, version: int | None, *, dry_run: bool, as_json: bool
) -> None:
    from streams.commands import ledger
    from streams.commands import work as queue
    from streams.commands.send import open_codec
    from streams.settings import load_settings

    settings = load_settings()
    with ledger.open_connection(settings) as connection:
        said = queue.decide(
            open_codec(settings),
            connection,
            number,
            action,
            person=person,
            role=role,
            reason=reason,
            settlement_version=version,
        )
    _deliver(settings, [said], dry_run=dry_run, as_json=as_json)


def _act(
    number: str,
    action: str,
    about: Mapping[str, object],
    person: str,
    role: str,
    reason: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from schemas.records import DecisionAction
    from streams.commands import ledger
    from streams.commands import work as queue
    from streams.commands.send import open_codec
    from streams.settings import load_settings

    settings, what = load_settings(), DecisionAction(action)
    with ledger.open_connection(settings) as connection:
        said = queue.act(open_codec(settings), connection, number, what, about, person=person, role=role, reason=reason)
    _deliver(settings, [said], dry_run=dry_run, as_json=as_json)


def _deliver(settings: "Settings", records: "Sequence[Outgoing]", *, dry_run: bool, as_json: bool) -> None:
    from streams.commands import broker, deliver

    if dry_run:
        _print(deliver.planned(records), deliver.show_planned, as_json)
    else:
        _print(deliver.deliver(broker.client_options(settings), records), deliver.show_delivered, as_json)
