"""Reduce spelling variants to one spelling, so that texts can be compared.

Variants are British and American spellings, abbreviations, contractions and Malay variants.
"""

from __future__ import annotations

import re

#: Lower-case word → the form in which it is compared, which may be several words.
VARIANTS = {
    pair.split("=")[0]: pair.split("=")[1].replace("~", " ")
    for pair in """
    ok=okey okay=okey okeh=okey email=emel doctor=doktor professor=profesor
    insyaallah=insya~allah inshaallah=insya~allah
    dr=doktor prof=profesor en=encik pn=puan tn=tuan hj=haji hjh=hajah ust=ustaz mr=mister mrs=missus capt=captain
    jln=jalan tmn=taman kg=kampung bkt=bukit sg=sungai lrg=lorong sdn=sendirian bhd=berhad tel=telefon
    yb=yang~berhormat dll=dan~lain~lain dsb=dan~sebagainya etc=et~cetera vs=versus
    programme=program cheque=check grey=gray tyre=tire plough=plow enrol=enroll fulfil=fulfill jewellery=jewelry
    catalogue=catalog dialogue=dialog analogue=analog licence=license defence=defense offence=offense practise=practice
    pretence=pretense kerb=curb storey=story ageing=aging sceptic=skeptic sceptical=skeptical sulphur=sulfur cosy=cozy
    judgement=judgment acknowledgement=acknowledgment manoeuvre=maneuver paediatric=pediatric anaemia=anemia
    foetus=fetus draught=draft artefact=artifact whisky=whiskey odour=odor odours=odors skilful=skillful
    aeroplane=airplane mould=mold smoulder=smolder pyjamas=pajamas moustache=mustache instalment=installment
    dialled=dialed oestrogen=estrogen encyclopaedia=encyclopedia haemoglobin=hemoglobin orthopaedic=orthopedic
    gonna=going~to wanna=want~to gotta=got~to gimme=give~me lemme=let~me cannot=can~not alright=all~right
    thousand=ribu million=juta billion=bilion percent=% peratus=% dollars=dolar dollar=dolar cents=sen cent=sen
    degrees=degree celcius=celsius
    """.split()
}
_CONTRACTIONS = [
    (re.compile(pattern), meant)
    for pattern, meant in (
        (r"\bwon't\b", "will not"),
        (r"\bcan't\b", "can not"),
        (r"\bshan't\b", "shall not"),
        (r"\bain't\b", "is not"),
        (r"(?<=[a-z])n't\b", " not"),
        (r"\blet's\b", "let us"),
        (r"\bi'm\b", "i am"),
        (
            r"\b(it|he|she|that|there|here|this|what|who|where|how|when|why|everything|everyone|nobody|one)'s\b",
            r"\1 is",
        ),
        (r"(?<=[a-z])'re\b", " are"),
        (r"(?<=[a-z])'ve\b", " have"),
        (r"(?<=[a-z])'ll\b", " will"),
        (r"\b(i|you|he|she|it|we|they|who|there|that)'d\b", r"\1 would"),
        (r"\bma'am\b", "madam"),
        (r"\bo'clock\b", "oclock"),
        (r"(?<!\w)'(cause|til|em)\b", r"\1"),
    )
]
_AMERICAN = [
    (re.compile(pattern), meant)
    for pattern, meant in (
        (r"(?<=\w{3})our(?=(?:s|ed|ing|ite|ites|able|ably|ful|less|hood|hoods|er|ers|al|ally|y)?$)", "or"),
        (r"(?<=\w{3}[a-z])is(?=(?:e|ed|es|er|ers|ing|ation|ations|able)$)", "iz"),
        (r"(?<=\w{3})ys(?=(?:e|ed|es|er|ers|ing)$)", "yz"),
        (r"(?<=cent|.met|.lit|.fib|lust|heat|alib|pect|somb|meag)re(?=[sd]?$)", "er"),
        (r"^(met|lit|fib)re(?=s?$)", r"\1er"),
    )
]
_DOUBLED = re.compile(
    r"(travel|cancel|label|model|fuel|level|signal|total|counsel|marvel|quarrel|tunnel|panel|channel|jewel|equal|dial)"
    r"l(ed|ing|er|ers|ation|or|ors)"
)


def uncontracted(text: str) -> str:
    """Write out lower-case English contractions: "it's" becomes "it is", "don't" becomes "do not"."""
    if "'" in text:
        for pattern, meant in _CONTRACTIONS:
            text = pattern.sub(meant, text)
    return text


def one_spelling(word: str) -> str:
    """Return the one spelling that stands for all variants of a lower-case word.

    An abbreviation may become several words, separated by spaces.
    """
    if word in VARIANTS:
        return VARIANTS[word]
    if len(word) > 4 and word.isascii():
        if doubled := _DOUBLED.fullmatch(word):
            return doubled[1] + doubled[2]
        for pattern, meant in _AMERICAN:
            word = pattern.sub(meant, word)
    return word
