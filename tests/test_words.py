"""Names use the field's terms: former names that only the authors understood do not return."""

from __future__ import annotations

import re

import pytest

from tests.services import ROOT

FOLDERS = "asr capacity core dashboard gateway inference model_store rollout tools tts usage voiceproject".split()
# Former words, each with the term that is used instead.
WORDS = {
    r"\b(this|that|each|every|whose|a) rooms?'?s?\b(?! for)|\brooms' ": "app",
    r"\bclass \w*Door\b|\b_?doors\(": "AdmissionController",
    r"\bclass (Hold|\w*Seats)\b|\bseat\(": "ConcurrencySlot, StreamLimiter",
    r"\bclass \w*Desk\b": "UnitHandler",
    r"\.weigh\(|\.cover\(": "set_cost, reserve",
    r"\bAWAY\b|\bpatiently\b|\bStoreAway\b": "UNAVAILABLE_ERRORS, with_timeout, StoreUnavailable",
    r"\bclass Kept\b|\bdef book\b": "SpooledEntry, post_entries",
    r"\bclass \w*Book\b|\bbooks_s\b": "EffectivePlans, ledger_s",
    r"\bclass HeardLanguage|_\(\"(Heard|Spoken)\"\)": "DetectedLanguage, Speech recognised, Speech generated",
    r"\b_Trust\b": "OfflineQuota",
    r"\bclass (Sight|Heard|Line)\b": "PagePermissions, UtteranceResult, AudioInput",
    r"\bBREATHER|\b_?(MOST|LEAST)_[A-Z]|\bSTRANGERS_": "PARTIAL_BACKOFF, MAX_, MIN_, MAX_UNAUTHENTICATED_BODY_BYTES",
    r"JsonWhateverIsAccepted": "IgnoreAcceptHeader",
    r"\b(is_away|away_s|note_away|note_back)\b": "is_unavailable, unavailable_s, note_unavailable, note_available",
    r"\bNotToBeHad\b|\bModelNotHere\b": "FilesUnavailable, ModelNotInstalled",
    r"\bPLACES\b.*<<|\bshare\.place\(": "QUEUE_LENGTH, queue_position",
    r"\bclass (_Crowd|Present|_Memory)\b": "_BusiestInstant, ServedUsers, _RulesCache",
    r"\bclass (Felt|Upper|TooMuch|HeardSoFar)\b": "Experience, PhaseLimits, NoFeasiblePlan, ReceivedEvents",
    r"\b(_insist|_?dearest|_heard_at|_deaf|_left_with)\b|\bFAREWELL_S\b": "_submit_with_retries, max_counted_cost, ...",
    r"\bclass (WhyForm|Goal|Goals)\b|\bGOALS?\b": "ReasonForm, MetricTargets, Targets",
    r"\b(Minutes|Hours|Seconds|minutes|audio) heard\b": "recognised",
    r"\b[Mm]ost (users )?at once\b": "peak concurrent users",
    r"\b_is_wide\b|\b_embedded\b": "is_unspaced, fallback_unit",
}
FILES = {"whoisin", "story", "quarter", "lookingadmin", "manyrows", "worth", "work", "span", "outage", "books"} | {
    # words run together
    *"audienceadmin costboard counterentry groupcommit historyadmin historychart loadtestadmin modelviews".split(),
    *"monthfilter perloop quotashare rampadmin ratelimit statedir statementadmin".split(),
    # names that did not lead to what the module holds
    *"answers cost_board delivery drafts exchange gallery goals guard guards mailing".split(),
    *"measure measuring observed personal".split(),
    *"plain probe recorded screen share sounds statement_drafting straight tested voice_choice weeks".split(),
}


@pytest.mark.parametrize(("word", "term"), WORDS.items(), ids=WORDS.values())
def test_former_words_do_not_return(word: str, term: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for match in re.finditer(word, path.read_text())
    ]
    assert not found, f"say {term}"


def test_former_module_names_do_not_return() -> None:
    named = {path.stem for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert named & FILES == set()
