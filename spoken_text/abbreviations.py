"""Short forms written out: titles, addresses, "dll.", and the Malay of chats ("yg", "x", "kata2")."""

from __future__ import annotations

import re

from spoken_text.rules import Rule, pick, rule, words

# With their full stop, in any language: short form, Malay, English.
_DOTTED = {
    "Dr": ("Doktor", "Doctor"),
    "dr": ("Doktor", "Doctor"),
    "prof": ("Profesor", "Professor"),
    "tn": ("Tuan", "Tuan"),
    "pn": ("Puan", "Puan"),
    "jln": ("Jalan", "Jalan"),
    "tmn": ("Taman", "Taman"),
    "Prof": ("Profesor", "Professor"),
    "Tn": ("Tuan", "Tuan"),
    "Pn": ("Puan", "Puan"),
    "En": ("Encik", "Encik"),
    "Hj": ("Haji", "Haji"),
    "Hjh": ("Hajah", "Hajah"),
    "Ust": ("Ustaz", "Ustaz"),
    "Mr": ("Mister", "Mister"),
    "Mrs": ("Missus", "Missus"),
    "Jln": ("Jalan", "Jalan"),
    "Jl": ("Jalan", "Jalan"),
    "Tmn": ("Taman", "Taman"),
    "Kg": ("Kampung", "Kampung"),
    "Kpg": ("Kampung", "Kampung"),
    "Lrg": ("Lorong", "Lorong"),
    "Bkt": ("Bukit", "Bukit"),
    "Sg": ("Sungai", "Sungai"),
    "Psn": ("Persiaran", "Persiaran"),
    "Lbh": ("Lebuh", "Lebuh"),
    "Tkt": ("Tingkat", "Tingkat"),
    "Sdn": ("Sendirian", "Sendirian"),
    "Bhd": ("Berhad", "Berhad"),
    "Tel": ("Telefon", "Telephone"),
    "Bil": ("Bilangan", "Bilangan"),
    "Hlm": ("Halaman", "Halaman"),
    "Ybhg": ("Yang Berbahagia", "Yang Berbahagia"),
    "YBhg": ("Yang Berbahagia", "Yang Berbahagia"),
    "Kol": ("Kolonel", "Kolonel"),
    "Kapt": ("Kapten", "Captain"),
    "dll": ("dan lain-lain", "dan lain-lain"),
    "dsb": ("dan sebagainya", "dan sebagainya"),
    "dst": ("dan seterusnya", "dan seterusnya"),
    "spt": ("seperti", "seperti"),
    "cth": ("contohnya", "contohnya"),
    "hlm": ("halaman", "halaman"),
    "bil": ("bilangan", "bilangan"),
    "tel": ("telefon", "telephone"),
    "i.e": ("iaitu", "that is"),
    "e.g": ("contohnya", "for example"),
    "etc": ("dan sebagainya", "et cetera"),
    "vs": ("lawan", "versus"),
    "approx": ("lebih kurang", "approximately"),
    "a.k.a": ("juga dikenali sebagai", "also known as"),
    "W.P": ("Wilayah Persekutuan", "Wilayah Persekutuan"),
    "et al": ("dan rakan-rakan", "and others"),
    "s.a.w": ("sallallahu alaihi wasallam", "sallallahu alaihi wasallam"),
    "s.w.t": ("Subhanahu wa Taala", "Subhanahu wa Taala"),
    "S.A.W": ("sallallahu alaihi wasallam", "sallallahu alaihi wasallam"),
    "S.W.T": ("Subhanahu wa Taala", "Subhanahu wa Taala"),
    "a.s": ("alaihissalam", "alaihissalam"),
    "r.a": ("radiallahu anhu", "radiallahu anhu"),
    "Jr": ("Junior", "Junior"),
    "Inc": ("Incorporated", "Incorporated"),
    "Ltd": ("Limited", "Limited"),
    "Corp": ("Corporation", "Corporation"),
    "Dept": ("Department", "Department"),
}
# The same also without a full stop.
_BARE = "Dr Prof Tn Pn Hj Hjh Mr Mrs Jln Tmn Kg Lrg Bkt Sdn Bhd YBhg dll dsb dst cth etc vs approx Ybhg Jl Psn".split()
_NEEDS_NAME = frozenset("En Sg Ust Tel Bil Kol Kapt Hlm Lbh Tkt Jr Inc Ltd Corp Dept Kpg".split())

_SLASHED = {
    "a/l": ("anak lelaki", "son of"),
    "a/p": ("anak perempuan", "daughter of"),
    "A/L": ("anak lelaki", "son of"),
    "A/P": ("anak perempuan", "daughter of"),
    "d/a": ("dengan alamat", "care of"),
    "c/o": ("dengan alamat", "care of"),
    "s/d": ("sampai dengan", "up to"),
    "m/s": ("muka surat", "page"),
    "w/o": ("tanpa", "without"),
    "w/": ("dengan", "with"),
    "n/a": ("tidak berkenaan", "not applicable"),
    "N/A": ("tidak berkenaan", "not applicable"),
    "dan/atau": ("dan atau", "and or"),
    "and/or": ("dan atau", "and or"),
}

_CHAT = dict(
    pair.split("=")
    for pair in """
    yg=yang dgn=dengan dng=dengan utk=untuk tuk=untuk sbb=sebab kpd=kepada pd=pada org=orang skrg=sekarang
    skang=sekarang blm=belum jgn=jangan jng=jangan mcm=macam mcam=macam klu=kalau klau=kalau kalo=kalau tgk=tengok
    bg=bagi sy=saya awk=awak brp=berapa bkn=bukan btl=betul dpt=dapat blh=boleh bole=boleh sgt=sangat tq=terima~kasih
    tqvm=terima~kasih~banyak pls=please plz=please btw=by~the~way nk=nak mmg=memang bnyk=banyak byk=banyak tlg=tolong
    sbg=sebagai spt=seperti dlm=dalam drpd=daripada dll=dan~lain-lain dsb=dan~sebagainya jd=jadi lg=lagi sdh=sudah
    tdk=tidak tk=tak sj=saja shj=sahaja sbnrnya=sebenarnya mgkn=mungkin ckp=cakap mlm=malam ptg=petang
    thn=tahun bln=bulan mggu=minggu hrg=harga kwn=kawan rmh=rumah mkn=makan mnm=minum jln=jalan bgmn=bagaimana
    knp=kenapa knapa=kenapa npe=kenapa smua=semua smpai=sampai smp=sampai sblm=sebelum slps=selepas
    lps=lepas krn=kerana kerna=kerana krana=kerana tp=tapi ttp=tetapi ttg=tentang tntg=tentang msh=masih msg=mesej
    wp=walaupun wlpn=walaupun bwk=bawa hrp=harap hrs=harus msti=mesti kt=kat dkt=dekat stp=setiap  dh=dah
    sdg=sedang tgh=tengah trus=terus lbh=lebih krg=kurang bsr=besar kcl=kecil bru=baru lma=lama cpt=cepat pkai=pakai
    gmbr=gambar fhm=faham tny=tanya jwb=jawab slmt=selamat trm=terima ksh=kasih asap=secepat~mungkin thx=thanks
    idk=entah omg=oh~my~god mlysia=Malaysia adlh=adalah ialh=ialah mrk=mereka sdiri=sendiri sndri=sendiri
    """.split()
)
_ENGLISH_CHAT = {
    "pls": "please",
    "plz": "please",
    "btw": "by the way",
    "asap": "as soon as possible",
    "tq": "thank you",
    "thx": "thanks",
    "idk": "I don't know",
    "imo": "in my opinion",
    "fyi": "for your information",
}
_TWICE = {
    "seolah2": "seolah-olah",
    "sekali2": "sekali-sekala",
    "berlari2": "berlari-lari",
    "berjalan2": "berjalan-jalan",
}
_NO_X_BEFORE = frozenset("nilai value pemboleh ubah paksi axis variable f variabel dan and koordinat".split())
_NO_X_AFTER = frozenset(
    "ialah adalah dan atau is are and or dalam sama equals axis dengan kuasa bagi lebih kurang darab campur tolak "
    "bahagi".split()
)


def _dotted(match: re.Match[str], language: str) -> str:
    short, stop = match[1], match[2]
    spoken = pick(language, *_DOTTED[short])
    rest = match.string[match.end() :].lstrip()
    ends = (
        bool(stop) and not rest.strip("\"'”’)*_ ") and short.islower() | (short in ("Bhd", "Inc", "Ltd", "Jr", "Corp"))
    )
    return spoken + ("." if ends else "")


def _numbered(match: re.Match[str], language: str) -> str:
    """The "No." of "No. 5" and "No. Telefon": a number, not a refusal."""
    written = match[1] or match[2]
    word = pick(language, "nombor", "number")
    spoken = word.capitalize() if written[0] == "N" and match.start() == 0 else word
    return f"{spoken} " if match[1] else spoken


def _slashed(match: re.Match[str], language: str) -> str:
    return pick(language, *_SLASHED[match[0]])


def _chat(match: re.Match[str], language: str) -> str:
    word = match[0]
    known = _ENGLISH_CHAT if language == "en" else _CHAT
    spoken = known.get(word.lower(), "").replace("~", " ")
    if not spoken or word.isupper():
        return word
    return spoken.capitalize() if word[0].isupper() else spoken


def _not(match: re.Match[str], language: str) -> str:
    """A lone x is "tak" between words, but a letter in algebra."""
    before = match.string[: match.start()].split()[-1:]
    if language != "ms" or match[1].lower() in _NO_X_AFTER or (before and before[0].lower() in _NO_X_BEFORE):
        return match[0]
    return "tak "


def _twice(match: re.Match[str], language: str) -> str:
    """Reduplication: "kata2" is "kata-kata", "benda2nya" is "benda-bendanya"."""
    before = match.string[: match.start()].split()[-1:]
    if language != "ms" or match[1].isupper() or (before and before[0][0].isdigit()):
        return match[0]  # "10 kaki2" is an area
    if match[0].lower() in _TWICE:
        return _TWICE[match[0].lower()]
    first, suffix = match[1], match[2] or ""
    return f"{first}-{first.lower()}{suffix}"


def _or(match: re.Match[str], language: str) -> str:
    return " " if match[1].isupper() and match[2].isupper() else pick(language, " atau ", " or ")


def _names(names: list[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


SHORT_FORMS: list[Rule] = [
    rule(r"\b(Encik|Puan|Tuan|Cik)\.(?= [A-Z])", lambda m, lang: m[1]),
    rule(rf"(?<![\w./])({_names(list(_DOTTED))})(\.)(?![\w])", _dotted),
    rule(rf"(?<![\w./])({_names(_BARE)})()(?![\w.])(?=\s|[,;:)?!]|$)", _dotted),
    rule(rf"(?<![\w./])({_names(sorted(_NEEDS_NAME))})()(?= [A-Z][a-z])(?!\w)", _dotted),
    rule(r"(?<![\w/])([Nn][Oo])\.?\s?(?=\d)|(?<![\w/])(No)\.(?= ?[A-Z])", _numbered),
    rule(rf"(?<![\w/])(?:{_names(list(_SLASHED))})(?![\w/])", _slashed),
    rule(r"(?<!\w)([^\W\d_]{3,20})(?:2|\^2)(nya|an|kan|lah|i)?(?!\w)", _twice),
    rule(r"(?<![\w=+*/^(])x (?=([a-z]{2,}))", _not),
    rule(r"\s@\s(?=RM|\$)", words(" pada harga ", " at ")),
    rule(r"(?<=[a-z])\s@\s(?=[A-Z])", words(" alias ", " alias ")),
    rule(r"\s@\s", words(" di ", " at ")),
]

CHAT: list[Rule] = [
    rule(r"(?<!\w)dr(?![\w.])", lambda m, lang: pick(lang, "dari", "Doctor")),
    rule(r"(?<![\w'’.-])[A-Za-z][a-z]{0,7}(?![\w'’-])", _chat),
    rule(r"(?<!\w)([A-Z])\s?&\s?(?=[A-Z](?!\w))", lambda m, lang: f"{m[1]} {pick(lang, 'en', 'and')} "),
    rule(r"\s?&\s?", lambda m, lang: pick(lang, " dan ", " and ")),
    rule(r"(?<=([^\W\d_]))\s?/\s?(?=([^\W\d_]))", _or),
]
