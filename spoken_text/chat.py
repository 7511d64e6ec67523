"""Rules that write out abbreviations in chat messages, mostly Malay ("yg" for "yang", "xde" for "tak ada")."""

from __future__ import annotations

import re

from spoken_text.rules import LETTER_MARK, Rule, pick, rule, words

_CHAT = dict(
    pair.split("=")
    for pair in """
    yg=yang dgn=dengan dng=dengan dgan=dengan utk=untuk tuk=untuk utuk=untuk sbb=sebab sbab=sebab kpd=kepada
    kpda=kepada pd=pada pda=pada org=orang orng=orang skrg=sekarang skg=sekarang skang=sekarang skrang=sekarang
    blm=belum jgn=jangan jng=jangan jgan=jangan mcm=macam mcam=macam cam=macam klu=kalau klau=kalau kalo=kalau
    kalu=kalau tgk=tengok tngok=tengok bg=bagi bgi=bagi sy=saya sye=saya awk=awak brp=berapa brapa=berapa
    bkn=bukan btl=betul dpt=dapat dapt=dapat blh=boleh bleh=boleh bole=boleh leh=boleh sgt=sangat tq=terima~kasih
    tkasih=terima~kasih tqvm=terima~kasih~banyak pls=please plz=please btw=by~the~way nk=nak mmg=memang mmng=memang
    bnyk=banyak byk=banyak bnyak=banyak tlg=tolong tlong=tolong sbg=sebagai sbgai=sebagai spt=seperti sprti=seperti
    dlm=dalam dlam=dalam drpd=daripada drp=daripada dll=dan~lain-lain dsb=dan~sebagainya jd=jadi jdi=jadi lg=lagi
    lgi=lagi sdh=sudah tdk=tidak tk=tak sj=saja shj=sahaja sbnrnya=sebenarnya sbenarnya=sebenarnya mgkn=mungkin
    mungkn=mungkin ckp=cakap ckap=cakap mlm=malam mlam=malam ptg=petang ptang=petang pg=pagi pgi=pagi
    tghari=tengah~hari thn=tahun tahn=tahun bln=bulan mggu=minggu mgg=minggu hrg=harga hrga=harga kwn=kawan rmh=rumah
    rumh=rumah mkn=makan mknan=makanan mnm=minum mnum=minum jln=jalan bgmn=bagaimana mcmn=macam~mana mcmne=macam~mana
    cmne=macam~mana camne=macam~mana cmna=macam~mana knp=kenapa knapa=kenapa npe=kenapa nape=kenapa kenape=kenapa
    smua=semua sume=semua semue=semua smpai=sampai smp=sampai smpi=sampai sblm=sebelum slps=selepas lps=lepas
    lpas=lepas krn=kerana kerna=kerana krana=kerana tp=tapi tpi=tapi ttp=tetapi tetpi=tetapi ttg=tentang tntg=tentang
    msh=masih mesg=mesej msg=mesej msej=mesej wp=walaupun wlpn=walaupun bwk=bawa bwak=bawa hrp=harap hrap=harap
    hrs=harus msti=mesti mst=mesti kt=kat dkt=dekat dkat=dekat stp=setiap stiap=setiap dh=dah sdg=sedang sdang=sedang
    tgh=tengah tngh=tengah trus=terus lbh=lebih lbih=lebih krg=kurang krang=kurang bsr=besar bsar=besar kcl=kecil
    kecik=kecil bru=baru lma=lama cpt=cepat cpat=cepat pkai=pakai pki=pakai gmbr=gambar gmbar=gambar fhm=faham
    phm=faham tny=tanya tnya=tanya jwb=jawab jwab=jawab jwpn=jawapan slmt=selamat slamat=selamat slm=salam salm=salam
    wslm=waalaikumussalam askm=assalamualaikum aslm=assalamualaikum trm=terima ksh=kasih asap=secepat~mungkin
    thx=thanks tenkiu=thank~you idk=entah omg=oh~my~god mlysia=Malaysia msia=Malaysia adlh=adalah ialh=ialah
    mrk=mereka mreka=mereka dorang=mereka dyorg=mereka diorg=mereka sdiri=sendiri sndri=sendiri sndiri=sendiri
    dtg=datang dtang=datang nnt=nanti nti=nanti byr=bayar bayr=bayar hr=hari hri=hari brg=barang brng=barang psl=pasal
    pasl=pasal mne=mana mna=mana ape=apa ap=apa sape=siapa spe=siapa bile=bila die=dia kite=kita kmi=kami ade=ada
    ad=ada kene=kena kna=kena jer=je pkl=pukul hntr=hantar hantr=hantar ambk=ambil amik=ambil amek=ambil amk=ambil
    blk=balik blik=balik blj=belajar bljr=belajar blja=belanja kje=kerja krj=kerja krja=kerja keje=kerja
    skolah=sekolah sklh=sekolah skola=sekolah cg=cikgu ckgu=cikgu bpk=bapak adk=adik adek=adik abg=abang abng=abang
    kk=kakak akak=kakak ank=anak pmpuan=perempuan ppuan=perempuan prmpuan=perempuan bgs=bagus bgus=bagus cntik=cantik
    ctk=cantik sdp=sedap sdap=sedap pns=panas pnas=panas sjk=sejuk skt=sakit skit=sikit mhl=mahal mrh=murah murh=murah
    sng=senang snang=senang ssh=susah susa=susah tdo=tidur tdr=tidur tido=tidur bgn=bangun bngun=bangun kluar=keluar
    klr=keluar msk=masuk msuk=masuk duk=duduk ddk=duduk dudk=duduk tmpt=tempat tmpat=tempat tpt=tempat mse=masa
    msa=masa wktu=waktu wkt=waktu hbs=habis abis=habis habs=habis lupe=lupa lpa=lupa igt=ingat ingt=ingat
    thu=tahu rs=rasa rse=rasa rasenye=rasanya sbnr=sebenar semlm=semalam smlm=semalam smalam=semalam esk=esok
    bsk=besok kdg=kadang kdang=kadang slalu=selalu sllu=selalu prnh=pernah pnah=pernah penah=pernah blum=belum
    lom=belum psti=pasti btul=betul slh=salah slah=salah ok=okey okeh=okey gi=pergi pegi=pergi prg=pergi jmpa=jumpa
    jmp=jumpa jupe=jumpa jumpe=jumpa cr=cari cri=cari bli=beli gne=guna gna=guna pk=fikir pikir=fikir fkir=fikir
    rjin=rajin mls=malas malaih=malas nmpk=nampak nmpak=nampak dgr=dengar dngr=dengar bc=baca bca=baca tls=tulis
    tulih=tulis hdp=hidup hidop=hidup mntk=minta mintak=minta mnta=minta mtk=minta mhn=mohon mohn=mohon
    maklumt=maklumat mklmt=maklumat srt=surat thp=tahap bhg=bahagian bhgn=bahagian kdai=kedai kdi=kedai keta=kereta
    kete=kereta krta=kereta mtr=motor nye=nya tuh=tu nih=ni pon=pun pn=pun jgk=juga jg=juga juge=juga gak=juga
    sket=sikit skjp=sekejap kjp=kejap jap=sekejap skejap=sekejap td=tadi tdi=tadi dlu=dulu srius=serius tkut=takut
    tkt=takut mlu=malu mkin=makin smakin=semakin hnya=hanya sdikit=sedikit trmasuk=termasuk tmsk=termasuk plg=paling
    plng=paling len=lain laen=lain sbnyk=sebanyak slmnya=selamanya insyaallah=insya-Allah insyallah=insya-Allah
    alhmdulillah=alhamdulillah alhmdllh=alhamdulillah xde=tak~ada xda=tak~ada xada=tak~ada xpe=tak~apa xpa=tak~apa
    xapa=tak~apa xleh=tak~boleh xblh=tak~boleh xboleh=tak~boleh xbleh=tak~boleh xtau=tak~tahu xtahu=tak~tahu
    xthu=tak~tahu xnk=tak~nak xnak=tak~nak xkan=takkan xsuka=tak~suka xyah=tak~payah xpayah=tak~payah xjadi=tak~jadi
    xjd=tak~jadi xmau=tak~mau xmo=tak~mau xkisah=tak~kisah xsmpt=tak~sempat xsempat=tak~sempat xdpt=tak~dapat
    xdapat=tak~dapat xsah=tak~sah xpernah=tak~pernah xprnh=tak~pernah xlama=tak~lama xbyk=tak~banyak xingat=tak~ingat
    xigt=tak~ingat xcukup=tak~cukup xsgka=tak~sangka xsangka=tak~sangka xkn=takkan xfhm=tak~faham xfaham=tak~faham
    xperlu=tak~perlu xsedap=tak~sedap xbest=tak~best xsampai=tak~sampai xdtg=tak~datang xpasti=tak~pasti
    xsihat=tak~sihat xlarat=tak~larat xnampak=tak~nampak xsabar=tak~sabar xcaya=tak~percaya xpercaya=tak~percaya
    xbole=tak~boleh xtido=tak~tidur xbyr=tak~bayar
    mane=mana cwn=cawan kte=kita lmbt=lambat lambt=lambat kbr=khabar khbr=khabar mtg=meeting sory=sorry sori=sorry
    wsap=WhatsApp wasap=WhatsApp wassap=WhatsApp tpt2=tempat-tempat fon=telefon fhmn=fahaman hbt=hebat hebt=hebat
    trima=terima ksih=kasih cdgn=cadangan pkej=pakej dskaun=diskaun msyuarat=mesyuarat mesyrt=mesyuarat
    """.split()
)
#: Short forms that occur only in Malay, and therefore identify a sentence as Malay.
CHAT_WORDS = frozenset(_CHAT) - frozenset(
    "pls plz btw asap tq tqvm thx omg idk ok okeh die ad ap gi cam leh mtg sory sori len lg pn "
    "td jap bg fon kt hr".split()
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
_NO_X_BEFORE = frozenset("nilai value pemboleh ubah paksi axis variable f variabel dan and koordinat fungsi".split())
_NO_X_AFTER = frozenset(
    "ialah adalah dan atau is are and or dalam sama equals axis dengan kuasa bagi lebih kurang darab campur tolak "
    "bahagi".split()
)

# Reduplicated words that do not follow the rules of ``_doubled``.
_TWICE = {
    "sekali": "sekali-sekala",
    "beramai": "beramai-ramai",
    "beratus": "beratus-ratus",
    "beribu": "beribu-ribu",
    "berebut": "berebut-rebut",
    "beransur": "beransur-ansur",
    "berasa": "berasa-rasa",
    "berupa": "berupa-rupa",
    "gotong": "gotong-gotong",
    "sesetengah": "sesetengah",
}
_NOT_AN_AFFIX = frozenset(
    """
    berita berat beras berani beruang berlian beranda beringin bersih berkas bermula
    terang terus terima teruk terbit terbang ternak terung terapi teras tertib teratai terjemahan terminal
    menteri merdeka menara menantu mesin mesej mereka melayu medan meter mentol mesyuarat menu merah mewah
    sebab sekolah senang sedap segar sedih semua sejuk selalu sepatu senyap serius sesat semut sepupu selipar semak
    senjata senarai sebelum sedikit sekejap segera senior selimut selesai senyum seluar seram serang selamat sejarah
    dinding dialog digit dialek disket diri direktori diploma
    kedai kereta kerja kepala kecil kejap kenapa keras kertas kemas kerusi ketam keluar kelas kelab keluarga kenangan
    kebun kerana kemeja kerajaan kemudian kesan kelapa kenal kering ketuk kejut kedut kerap ketat kental kelip
    """.split()
)
_AFFIX = re.compile(
    r"(?:ber|ter|di|se|meng(?=[aeiouhkg])|meny(?=[aeiou])|mem(?=[bpfv])|men(?=[cdjtsz])|me)(?=[a-z]{3})"
)
_NUMBERS = frozenset("dua tiga empat lima enam tujuh lapan sembilan sepuluh".split())
_SAID_ONCE_MORE = frozenset(
    "selama semata sesuka sekurang sebaik selewat seolah selambat sepenuh sedalam setinggi".split()
)


def _chat(match: re.Match[str], language: str) -> str:
    word = match[0]
    known = _ENGLISH_CHAT if language == "en" else _CHAT
    spoken = known.get(word.lower(), "").replace("~", " ")
    if not spoken or word.isupper() or _in_address(match):
        return word
    return spoken.capitalize() if word[0].isupper() else spoken


def _in_address(match: re.Match[str]) -> bool:
    """Return True if the word is part of a web or e-mail address that has been put into words.

    In "ms dot wikipedia dot org", for example, "ms" must stay.
    """
    before = match.string[max(0, match.start() - 12) : match.start()]
    if before.endswith((" dot ", " underscore ", " dash ", "slash ")):
        return True
    return bool(re.match(r" (?:dot |(?:underscore|dash|at) \S{1,40} )", match.string[match.end() :])) and (
        " dot " in match.string[match.end() : match.end() + 120]
    )


def _not(match: re.Match[str], language: str) -> str:
    """Replace a lone x in Malay text with "tak" (not). In algebra the x is kept."""
    before = match.string[: match.start()].split()[-1:]
    after = match[1].lower() if match[1] else ""
    if language != "ms" or after in _NO_X_AFTER or (before and before[0].lower() in _NO_X_BEFORE):
        return match[0]
    return "tak " if after else "tak"


def _twice(match: re.Match[str], language: str) -> str:
    """Write out a reduplicated word: "kata2" becomes "kata-kata", "tertanya2" becomes "tertanya-tanya".

    A suffix follows the second half: "benda2nya" becomes "benda-bendanya".
    """
    before = match.string[: match.start()].split()[-1:]
    if language != "ms" or match[1].isupper() or (before and before[0][0].isdigit()):
        return match[0]  # "10 kaki2" is an area
    written = match[1]
    suffix = match[2] or ""
    word = _CHAT.get(written.lower(), written).replace("~", " ")
    if len(written) == 2 and written.lower() not in _CHAT:
        return match[0]
    if written[0].isupper() and word != written:
        word = word.capitalize()
    return _doubled(word, suffix) + suffix


def _doubled(word: str, suffix: str) -> str:
    lowered = word.lower()
    if lowered in _TWICE:
        return _TWICE[lowered]
    if lowered.startswith("ke") and lowered[2:] in _NUMBERS:
        return f"{word}-{lowered[2:]}"
    if lowered.startswith("ke") and suffix == "an" and len(lowered) > 5 and lowered not in _NOT_AN_AFFIX:
        return f"{word}-{lowered[2:]}"
    affix = _AFFIX.match(lowered)
    if affix is None or lowered in _NOT_AN_AFFIX:
        return f"{word}-{lowered}"
    prefix = affix[0]
    root = lowered[affix.end() :]
    if prefix == "se" and suffix != "nya" and lowered not in _SAID_ONCE_MORE:
        return f"{word}-{lowered}"
    if prefix in ("di", "me") and len(lowered) < 6:
        return f"{word}-{lowered}"
    if lowered.startswith("meny"):
        return f"{word}-ny{root}"
    return f"{word}-{root}"


def _or(match: re.Match[str], language: str) -> str:
    return " " if match[1].isupper() and match[2].isupper() else pick(language, " atau ", " or ")


TWICE: list[Rule] = [
    rule(r"(?<![\w@./-])([^\W\d_]{2,20})(?:2|\^2)(nya|an|kan|lah|i|ku|mu)?(?![\w@]|\.\w)", _twice),
    rule(r"(?<![\w=+*/^(])[xX] (?=([a-z]{2,}))", _not),
    rule(r"(?<=[a-z]{2} )x()(?=\s*(?:[?.!,…]|$))", _not),
]

CHAT: list[Rule] = [
    rule(r"(\b(?:[Bb]alik|di|dari|ke|kat) )kg(?!\w)", lambda m, lang: f"{m[1]}kampung"),
    rule(r"(?<!\w)dr(?![\w.])", lambda m, lang: pick(lang, "dari", "Doctor")),
    rule(rf"(?<![\w'’.{LETTER_MARK}-])[A-Za-z][a-z]{{1,12}}(?![\w'’-])", _chat),
    rule(r"(?<!\w)([A-Z])\s?&\s?(?=[A-Z](?!\w))", lambda m, lang: f"{m[1]} {pick(lang, 'en', 'and')} "),
    rule(r"\s?&\s?", words(" dan ", " and ")),
    rule(r"(?<=[^\W\d_])\s?/\s?(?=(?i:atau|or)\b)", words(" ", " ")),  # "dan/atau" already contains "or"
    rule(r"(?<=([^\W\d_]))\s?/\s?(?=([^\W\d_]))", _or),
]
