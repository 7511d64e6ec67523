"""Which language a sentence is in: by its script, then by its commonest words."""

from __future__ import annotations

import re

_MALAY = frozenset(
    """
    yang dan di ke dari daripada untuk pada dengan dalam ini itu ada adalah ialah tidak tak bukan saya awak anda kamu
    dia mereka kami kita aku kau akan telah sudah dah belum boleh bisa mahu nak perlu harus mesti jika kalau apabila
    bila kerana sebab supaya agar tetapi tapi atau juga lagi sahaja saja hanya sangat amat lebih kurang banyak
    sedikit semua setiap para oleh kepada terhadap tentang mengenai antara seperti macam sebagai hingga sampai
    sehingga sejak selepas sebelum ketika semasa sambil serta bagi satu dua tiga empat lima enam tujuh lapan
    sembilan sepuluh ribu juta bilion ringgit sen tahun bulan hari minggu jam minit pukul pagi petang malam esok
    semalam apa siapa mana bagaimana mengapa kenapa berapa orang buah ekor harga hari tarikh jumlah peratus pergi
    datang buat bagi beri baca tulis cakap kata tanya jawab baik besar kecil baru lama sila terima kasih tolong
    maaf ya tu ni je lah kan pun mula masuk keluar naik turun dapat bayar beli jual rumah kereta sekolah negara
    kerajaan rakyat dekat jalan nombor telefon hubungi talian langkah contoh nota suhu jarak berat tinggi panjang
    abad kali kedua ketiga bahagian bab tingkatan darjah kelas jadual penerbangan bilik tingkat lebuhraya
    makan minum selamat encik puan tuan cik datuk hantar lihat lawat kunjungi menang kalah seri pasukan mac jun julai
    ogos disember mei januari februari isnin selasa rabu khamis jumaat sabtu ahad kosong sifar perpuluhan setengah
    nasi ayam air susu gula minyak soalan jawapan markah tambah tolak darab bahagi sama
    yg dgn utk dlm kpd drpd sbb sy org tgk mcm klu blm jgn skrg pd bkn btl dpt blh sgt brp nk mmg byk tlg tq
    """.split()
)
_ENGLISH = frozenset(
    """
    the an of and to in is are was were be been am that this these those it its he she they we you i my your his
    her their our us them with for from by at on as or but not yes so if then than when while where what which
    who how why can could will would should may might must do does did has have had there here about into over
    after before between during because also very more most some any all each every one two three four five six
    seven eight nine ten hundred thousand million please thank thanks hello hi good morning let go get make take
    see call pay paid cost costs price buy year years month months week day days hour hours minute minutes people
    up out just only now today tomorrow yesterday per cent percent since until around next last first second
    meeting starts open opens closes temperature room flight born founded independence won lost population
    january february march june july august october december monday tuesday wednesday thursday friday saturday
    sunday chapter page step note summary example add use used read write need want know like new see at
    visit email contact number distance weight height speed score scored beat match worth about
    """.split()
)
_MALAY_FORM = re.compile(r"(?:meng|peng|meny|peny)[a-z]{3,}|[a-z]{3,}(?:nya|kan|lah)")
_ENGLISH_FORM = re.compile(r"[a-z]{3,}(?:tion|tions|ness|ould|ally)|[a-z]+n't")
_WORD = re.compile(r"(?<![\w.-])[A-Za-z]{1,40}(?:['’][a-z]{1,3})?(?!\w)")
_ADDRESS = re.compile(r"(?:\b\w{2,6}://|www\.|@)\S*|(?<![\w#])#\w+")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")
_TAMIL = re.compile(r"[\u0b80-\u0bff]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


def detect_language(text: str, fallback: str = "ms") -> str:
    """The language of one sentence ("ms", "en", "zh" or "ta"); `fallback` where the text does not tell.

    A mixed sentence has the language of most of its function words.
    """
    han, tamil = len(_HAN.findall(text)), len(_TAMIL.findall(text))
    if han or tamil:
        latin = len(_LATIN.findall(text))
        if tamil > max(han, latin // 2):
            return "ta"
        if han * 4 > latin:  # one Chinese character says about as much as four letters
            return "zh"
    malay = english = 0.0
    shouted = text.isupper() and text.count(" ") > 1
    for written in _WORD.findall(_ADDRESS.sub(" ", text)):
        if len(written) > 1 and written.isupper() and not shouted:
            continue  # an acronym: "IT", "AS"
        word = written.lower()
        if word in _MALAY:
            malay += 1
        elif word in _ENGLISH:
            english += 1
        elif _MALAY_FORM.fullmatch(word):
            malay += 0.5
        elif _ENGLISH_FORM.fullmatch(word):
            english += 0.5
    if malay == english:
        return fallback
    return "ms" if malay > english else "en"
