"""Rules that write out abbreviations, such as titles ("Dr."), parts of addresses ("Jln.") and "etc."."""

from __future__ import annotations

import re

from spoken_text.roman import roman
from spoken_text.rules import Rule, pick, rule, words
from spoken_text.times import PART_OF_DAY


def _table(text: str) -> dict[str, tuple[str, str]]:
    """Parse lines "abbreviation=Malay" or "abbreviation=Malay=English". Return {abbreviation: (Malay, English)}.

    If a line has no English form, the Malay form is used for both languages.
    """
    rows = (line.strip().split("=") for line in text.strip().splitlines())
    return {row[0]: (row[1], row[-1]) for row in rows}


# Abbreviations that are written with a full stop, with their long forms.
_DOTTED = _table(
    """
    Dr=Doktor=Doctor
    dr=Doktor=Doctor
    Prof=Profesor=Professor
    prof=Profesor=Professor
    Tn=Tuan
    tn=Tuan
    Pn=Puan
    pn=Puan
    En=Encik
    Hj=Haji
    Hjh=Hajah
    Ust=Ustaz
    Mr=Mister
    Mrs=Missus
    Mohd=Mohamad
    mohd=Mohamad
    Muhd=Muhammad
    Md=Muhammad
    Abd=Abdul
    Abdl=Abdul
    Bt=Binti
    bt=binti
    bte=binti
    Jln=Jalan
    jln=Jalan
    Jl=Jalan
    Tmn=Taman
    tmn=Taman
    Kg=Kampung
    Kpg=Kampung
    Lrg=Lorong
    Bkt=Bukit
    Sg=Sungai
    Psn=Persiaran
    Lbh=Lebuh
    Lbhraya=Lebuhraya
    Tkt=Tingkat
    Bdr=Bandar
    Tg=Tanjung
    Tjg=Tanjung
    Pt=Parit
    Kws=Kawasan
    Pej=Pejabat
    Jab=Jabatan
    Kem=Kementerian
    Bhg=Bahagian
    Sek=Sekolah
    Keb=Kebangsaan
    Men=Menengah
    Hosp=Hospital
    Pgh=Pengarah
    Pen=Penolong
    Peg=Pegawai
    Tim=Timbalan
    Sdn=Sendirian
    Bhd=Berhad
    Tel=Telefon=Telephone
    tel=telefon=telephone
    Samb=Sambungan=Extension
    samb=sambungan=extension
    Ext=Sambungan=Extension
    ext=sambungan=extension
    Bil=Bilangan
    bil=bilangan
    Ruj=Rujukan=Reference
    ruj=rujukan=reference
    Hlm=Halaman
    hlm=halaman
    Jld=Jilid
    YBhg=Yang Berbahagia
    Ybhg=Yang Berbahagia
    Y.B=Yang Berhormat
    Y.A.B=Yang Amat Berhormat
    Y.M=Yang Mulia
    Y.Bhg=Yang Berbahagia
    Kol=Kolonel
    Brig=Brigedier=Brigadier
    Univ=Universiti=University
    rah=rahimahullah
    Lt=Leftenan=Lieutenant
    Mej=Mejar=Major
    Jen=Jeneral=General
    Laks=Laksamana
    Kapt=Kapten=Captain
    Insp=Inspektor=Inspector
    Supt=Superintenden=Superintendent
    Sjn=Sarjan
    Kpl=Koperal
    Ts=Teknologis
    Kep=Kepujian=Honours
    Hons=Kepujian=Honours
    B.Sc=Sarjana Muda Sains=Bachelor of Science
    M.Sc=Sarjana Sains=Master of Science
    B.A=Sarjana Muda Sastera=Bachelor of Arts
    M.A=Sarjana Sastera=Master of Arts
    B.Eng=Sarjana Muda Kejuruteraan=Bachelor of Engineering
    M.Eng=Sarjana Kejuruteraan=Master of Engineering
    B.Ed=Sarjana Muda Pendidikan=Bachelor of Education
    Ph.D=PhD
    dll=dan lain-lain
    dsb=dan sebagainya
    dst=dan seterusnya
    dkk=dan kawan-kawan
    spt=seperti
    cth=contohnya
    thn=tahun
    bln=bulan
    pkl=pukul
    Pkl=Pukul
    kps=kaki persegi=square feet
    min=minimum
    maks=maksimum=maximum
    max=maksimum=maximum
    D.E=Darul Ehsan
    D.T=Darul Takzim
    D.R=Darul Ridzuan
    p.a=setahun=per annum
    jld=jilid
    u.p=untuk perhatian
    s.k=salinan kepada
    b.p=bagi pihak
    k.p=kad pengenalan
    t.t=tandatangan
    s.b=seperti berikut
    i.e=iaitu=that is
    e.g=contohnya=for example
    etc=dan sebagainya=et cetera
    vs=lawan=versus
    approx=lebih kurang=approximately
    a.k.a=juga dikenali sebagai=also known as
    W.P=Wilayah Persekutuan
    et al=dan rakan-rakan=and others
    s.a.w=sallallahu alaihi wasallam
    s.w.t=Subhanahu wa Taala
    S.A.W=sallallahu alaihi wasallam
    S.W.T=Subhanahu wa Taala
    a.s=alaihissalam
    r.a=radiallahu anhu
    r.ha=radiallahu anha
    r.anha=radiallahu anha
    Jr=Junior
    Inc=Incorporated
    Ltd=Limited
    Corp=Corporation
    Dept=Department
    Ave=Avenue
    Blvd=Boulevard
    Rd=Road
    Gov=Governor
    Sgt=Sergeant
    Rev=Reverend
    """
)
# Abbreviations of ``_DOTTED`` that are also written without a full stop.
_BARE = (
    "Dr Prof Tn Pn Hj Hjh Mr Mrs Jln Tmn Kg Lrg Bkt Bdr Sdn Bhd YBhg dll dsb dst dkk cth etc vs approx Ybhg Jl Psn "
    "Mohd Muhd kps samb"
).split()
# Abbreviations of ``_DOTTED`` that are written without a full stop only before a name.
_NEEDS_NAME = "En Sg Ust Tel Bil Kol Kapt Hlm Lbh Tkt Jr Inc Ltd Corp Dept Kpg Abd Md Tg Tjg Lt Mej Insp Supt".split()
# Abbreviations that are also ordinary words. They are abbreviations only before a capital, a digit or a bracket.
_AMBIGUOUS = frozenset("min max Men Tim Pen Pt Rd Kem Sek Gov Rev Ave Hosp Jen Peg Kep Hons".split())
_END_A_SENTENCE = frozenset("Bhd Inc Ltd Jr Corp Kep Hons Ph.D B.Sc M.Sc B.A M.A Rd Ave Blvd".split())

_SLASHED = _table(
    """
    a/l=anak lelaki=son of
    a/p=anak perempuan=daughter of
    A/L=anak lelaki=son of
    A/P=anak perempuan=daughter of
    a/n=atas nama=on behalf of
    d/a=dengan alamat=care of
    c/o=dengan alamat=care of
    s/d=sampai dengan=up to
    m/s=muka surat=page
    k/p=kad pengenalan=identity card
    K/P=kad pengenalan=identity card
    w/o=tanpa=without
    w/=dengan=with
    y/o=tahun=years old
    n/a=tidak berkenaan=not applicable
    N/A=tidak berkenaan=not applicable
    dan/atau=dan atau=and or
    and/or=dan atau=and or
    """
)
_TITLE_LETTERS = {
    "TYT": "Tuan Yang Terutama",
    "DYMM": "Duli Yang Maha Mulia",
    "DYTM": "Duli Yang Teramat Mulia",
    "YAB": "Yang Amat Berhormat",
    "YAM": "Yang Amat Mulia",
    "YAA": "Yang Amat Arif",
    "YTM": "Yang Teramat Mulia",
    "YB": "Yang Berhormat",
    "YBM": "Yang Berhormat Mulia",
    "YBhg": "Yang Berbahagia",
    "YBrs": "Yang Berusaha",
    "YM": "Yang Mulia",
    "YDP": "Yang di-Pertua",
    "YDPA": "Yang di-Pertuan Agong",
    "SPB": "Seri Paduka Baginda",
    "KDYMM": "Ke Bawah Duli Yang Maha Mulia",
}


def _dotted(match: re.Match[str], language: str) -> str:
    short = match[1]
    stop = match[2]
    rest = match.string[match.end() :].lstrip()
    if short in _AMBIGUOUS and stop and not re.match(r"[A-Z\d()]", rest):
        return match[0] if short not in ("Kep", "Hons") else pick(language, *_DOTTED[short])
    ends = bool(stop) and not rest.strip("\"'”’)*_ ") and (short.islower() or short in _END_A_SENTENCE)
    return pick(language, *_DOTTED[short]) + ("." if ends else "")


def _numbered(match: re.Match[str], language: str) -> str:
    """Write out "No." as "nombor" or "number", as in "No. 5" and "No. siri"."""
    word = pick(language, "nombor", "number")
    return (word.capitalize() if match[1][0] == "N" and not match.start() else word) + " "


def _numbered_thing(match: re.Match[str], language: str) -> str:
    """Write out "No." before a word as "nombor" or "number", unless it is the English answer "No."."""
    if language == "en" and not _NUMBERED_IN_ENGLISH.match(match.string, match.end()):
        return match[0]
    return _numbered(match, language)


def _limit(match: re.Match[str], language: str) -> str:
    """Write out "min" and "maks" before an amount of money, or at the beginning of a clause."""
    limit = pick(language, *_DOTTED[match[1].lower()])
    return (limit.capitalize() if match[1][0] == "M" else limit) + " "


def _greeting(match: re.Match[str], language: str) -> str:
    """Write out the short form of the end of an Islamic greeting, "wbt." or "wr. wb."."""
    before = match.string[max(0, match.start() - 16) : match.start()].rstrip().lower()
    known = before.endswith(("warahmatullahi", "warahmatullah"))
    ends = match[0].endswith(".") and not match.string[match.end() :].strip()
    return ("" if known else "warahmatullahi ") + "wabarakatuh" + ("." if ends else "")


def _radiallahu(match: re.Match[str], language: str) -> str:
    """Write out the blessing after the name of a companion of the Prophet."""
    woman = match[2] in ("Sayidatina", "Saidatina", "Sayyidatina")
    ends = match[0].endswith(".") and not match.string[match.end() :].strip()
    return f"{match[1]} radiallahu {'anha' if woman else 'anhu'}" + ("." if ends else "")


def _slashed(match: re.Match[str], language: str) -> str:
    return pick(language, *_SLASHED[match[0]])


def _names(names: list[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


# A name with one of these titles is that of a companion of the Prophet, and "RA" after it is a blessing.
_COMPANION = "Saidina|Sayidina|Saiyidina|Sayyidina|Saidatina|Sayidatina|Sayyidatina"
# Words after which "AS" is the country. Elsewhere it may be an examination, a company or a name.
_BEFORE_AMERICA = (
    "di|ke|dari|daripada|oleh|dengan|dan|kerajaan|presiden|tentera|dolar|ekonomi|pasaran|rakyat|warga|warganegara|"
    "kedutaan|import|eksport|tarif|senat|kongres|saham|bon|hubungan|pentadbiran"
)
_NUMBERED_IN_MALAY = "tel|telefon|siri|akaun|ic|kad pengenalan|k/p|kp|hp|plat|pendaftaran|rujukan|ruj"
_NUMBERED_IN_ENGLISH = re.compile(r"(?:[A-Z]|(?:tel|phone|account|ref|serial|ic|id|lot|unit)\b)")

SHORT_FORMS: list[Rule] = [
    rule(r"\b(Encik|Puan|Tuan|Cik|Datuk|Dato')\.(?= [A-Z])", lambda m, lang: m[1]),
    rule(rf"(?<![\w/])({_names(list(_TITLE_LETTERS))})\.?(?= [A-Z])", lambda m, lang: _TITLE_LETTERS[m[1]]),
    rule(r"(?<![\w/])(?!NO[23](?!\d))([Nn][Oo]s?)\.?\s?(?=\d)", _numbered),  # NO2 is a gas
    rule(rf"(?<![\w/])([Nn]o)\.?\s(?=(?:{_NUMBERED_IN_MALAY})\b)", _numbered, re.IGNORECASE),
    rule(r"(?<![\w/])(No)\.\s?(?=[A-Za-z])", _numbered_thing),
    rule(r"(?<!\w)RMKe-(?=\d)", words("RMK ke-", "RMK ")),
    rule(r"(?<!\w)\.NET\b", words("dot net", "dot net")),
    rule(r"(?<!\w)IPv(?=\d)", words("IP versi ", "IP version ")),
    rule(r"(?<=[a-z] )b\.(?= [A-Z][a-z])", words("bin", "bin")),
    rule(r"(?<![\w/.])(?:ms|m\.s)\.?(?= \d)", words("muka surat", "pages")),
    rule(r"(?<![\w/.])pp\.? ?(?=\d)", words("halaman ", "pages ")),
    rule(r"(?<![\w/.])p\. ?(?=\d)", words("halaman ", "page ")),
    rule(r"(?<![\w-])(?:[Yy]-?[Oo]-?[Yy]|YOY)(?![\w-])", words("tahun ke tahun", "year on year")),
    rule(r"(?<![\w-])(?:[Qq]-?[Oo]-?[Qq]|QOQ)(?![\w-])", words("suku ke suku", "quarter on quarter")),
    rule(r"(?<=%) ?(?:m-o-m|MoM)(?![\w-])", words(" bulan ke bulan", " month on month")),
    rule(r"(?<![\w./])(?<!\d )([Mm]in|[Mm]aks)\.? ?(?=RM ?\d)", _limit),
    rule(r"(?:^|(?<=[.:;,(] ))([Mm]in|[Mm]aks|Max)\.? ?(?=RM ?\d|\d)", _limit),
    rule(r"(?<![\w./])[Ee]xt\.?(?=:? ?\d)", words("sambungan", "extension")),
    rule(r"(?<![\w./])((?:[Ww]bt|w\.b\.t|W\.B\.T)\b\.?|[Ww]r\.? ?[Ww]b\b\.?|[Ww]rt\.? ?[Ww]bt\b\.?)", _greeting),
    rule(
        r"(?<=\()HR\.? (?=(?:[Aa][a-z]{0,2}-)?(?:Bukhari|Muslim|Ahmad|Ab[ui] Da[uw]u?d|Tirmid?zi|Nasa'?i|Ibnu? Majah))",
        words("Hadis riwayat ", "Hadis riwayat "),
    ),
    rule(
        r"(?<!\w)Q\.?S\.? (?=[A-Z][a-z]{1,3}-[A-Z][a-z]{1,12}(?: [A-Z][a-z]{1,12})?:? \(?\d)", words("Surah ", "Surah ")
    ),
    rule(r"(\bNabi [A-Z][a-z]{1,12}) \(?AS(?![\w-])\)?", lambda m, lang: f"{m[1]} alaihissalam"),
    rule(rf"(\b({_COMPANION}) [A-Z][a-z]{{1,12}}(?: [A-Z][a-z]{{1,12}})?) \(?(?:R\.?A|r\.a)\b\.?\)?", _radiallahu),
    rule(
        rf"(\b(?i:{_BEFORE_AMERICA}) )AS(?![\w-]|\.\w| (?:Level|Roma|Monaco|Watson)\b)",
        lambda m, lang: f"{m[1]}Amerika Syarikat" if lang == "ms" else m[0],
    ),
    rule(r"\((i{1,3}|iv|vi{0,3}|ix)\)", lambda m, lang: f"({roman(m[1].upper())})"),
    rule(r"(?<=[a-z])/(?=se(?:hari|minggu|bulan|tahun|orang|jam)\b)", words(" ", " ")),
    rule(r"(?<!\w)([Tt])el(?=:|\s?\d)", lambda m, lang: pick(lang, m[1] + "elefon", m[1] + "elephone")),
    rule(r"(?<=[A-Za-z]{3} )St\.?(?=\s*(?:$|[,;]))", words("Street", "Street")),
    rule(r"(?<![\w.])St\.?(?= [A-Z][a-z])", words("Saint", "Saint")),
    rule(rf"(?<![\w./])({_names(list(_DOTTED))})(\.)(?![\w])", _dotted),
    rule(rf"(?<![\w./])(?<!slash )({_names(_BARE)})()(?![\w.])(?=\s|[,;:)?!]|$)", _dotted),
    rule(rf"(?<![\w./])({_names(_NEEDS_NAME)})()(?= [A-Z][a-z])(?!\w)", _dotted),
    rule(rf"(?<![\w/])(?<!\d )(?:{_names(list(_SLASHED))})(?![\w/])", _slashed),
    rule(r"\s@\s(?=\d[\d.]{0,5}\s?%)", words(" pada ", " at ")),
    rule(r"\s@\s(?=RM|\$)", words(" pada harga ", " at ")),
    rule(
        rf"\s@\s(?=\d{{1,2}}(?:[.:]\d\d)?\s?(?:{PART_OF_DAY}|[ap]\.?m)\b)", words(" pada pukul ", " at "), re.IGNORECASE
    ),
    rule(r"\s@\s(?=\d{1,2}:\d\d(?!\d))", words(" pada pukul ", " at ")),
    rule(r"\s@\s(?=\d[\d.,]{0,8}\s?(?:rpm|[kMG]?Hz|fps|V)\b)", words(" pada ", " at ")),
    rule(r"(?<=[a-z])\s@\s(?=[A-Z])", words(" alias ", " alias ")),
    rule(r"\s@\s", words(" di ", " at ")),
]
