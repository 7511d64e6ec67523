"""Detect the language of a sentence: Chinese and Tamil by their scripts, Malay and English by their words."""

from __future__ import annotations

import re

from spoken_text.chat import CHAT_WORDS

# Malay function words. They weigh more than nouns, which sentences in other languages may borrow.
_MALAY_GRAMMAR = frozenset(
    """
    yang dan di ke dari daripada untuk pada dengan dalam ini itu ada adalah ialah tidak tak bukan saya awak anda kamu
    dia mereka kami kita aku kau akan telah sudah dah belum boleh bisa mahu nak perlu harus mesti jika kalau apabila
    bila kerana sebab supaya agar tetapi tapi atau juga lagi sahaja saja hanya sangat amat lebih kurang banyak
    sedikit semua setiap para oleh kepada terhadap tentang mengenai antara seperti macam sebagai hingga sampai
    sehingga sejak selepas sebelum ketika semasa sambil serta bagi apa siapa mana bagaimana mengapa kenapa berapa
    tu ni je lah kan pun ya sila jangan jom biar pasal masih pernah sedang tengah nanti kat dekat lepas dulu tadi
    semalam esok hari bahawa malah namun walaupun meskipun manakala iaitu yakni turut dapat ialah pihak kah bukankah
    beliau baginda engkau korang diorang tuan puan encik cik kena takkan usah hendak ingin
    yg dgn utk dlm kpd drpd sbb sy org tgk mcm klu blm jgn skrg pd bkn btl dpt blh sgt brp nk mmg byk tlg dtg kt
    """.split()
)
_MALAY = frozenset(
    """
    satu dua tiga empat lima enam tujuh lapan sembilan sepuluh sebelas belas puluh ratus ribu juta bilion ringgit sen
    tahun bulan minggu jam minit saat pukul pagi petang malam orang buah ekor biji keping helai batang harga tarikh
    jumlah peratus pergi datang buat beri baca tulis cakap kata tanya jawab baik besar kecil baru lama terima kasih
    tolong maaf mula masuk keluar naik turun bayar beli jual rumah kereta sekolah negara kerajaan rakyat jalan nombor
    telefon hubungi talian langkah contoh nota suhu jarak berat tinggi panjang lebar abad kali kedua ketiga bahagian
    bab tingkatan darjah kelas jadual penerbangan bilik tingkat lebuhraya makan minum selamat datuk hantar lihat lawat
    kunjungi menang kalah seri pasukan mac jun julai ogos disember mei januari februari oktober isnin selasa rabu
    khamis jumaat sabtu ahad kosong sifar perpuluhan setengah nasi ayam air susu gula minyak soalan jawapan markah
    tambah tolak darab bahagi sama laju had umur kelajuan cuti tutup buka mohon permohonan cukai akaun kad bil pelan
    yuran wang tunai diskaun potongan percuma guna kerja pelajar guru anak ibu bapa abang adik kakak suami isteri
    keluarga kawan rakan bandar kampung taman lorong daerah negeri ibu kota pejabat kedai pasar hospital klinik
    masjid stesen kaunter dokumen borang surat resit syarikat pekerja gaji sebulan setahun sehari seminggu seorang
    sebuah seekor hidangan sudu cawan resipi bahan cara panaskan masukkan kacau gaul hidangkan goreng rebus kukus
    tekan klik pilih isi semak sahkan muat naik simpan padam tukar cuba ulang ingat faham tahu lupa suka sayang cinta
    sedap pedas manis masam pahit panas sejuk hujan ribut banjir cuaca laut pantai gunung bukit sungai pulau hutan
    merah biru hijau kuning putih hitam kelabu coklat ungu jingga akhir awal pertama terakhir seterusnya penting utama
    kadar faedah pinjaman ansuran sewa deposit baki untung rugi kos belanja pukal borong runcit jenama produk
    kecemasan kemalangan polis bomba ambulans doktor ubat sakit demam batuk selesema darah jantung kulit mata gigi
    tahniah syabas assalamualaikum waalaikumussalam insya alhamdulillah salam hai helo khabar sihat
    """.split()
)
_ENGLISH = frozenset(
    """
    the an of and to in is are was were be been am that this these those it its he she they we you i my your his
    her their our us them with for from by at on as or but not yes so if then than when while where what which
    who how why can could will would should may might must do does did has have there here about into over
    after before between during because also very more most some any all each every one two three four five six
    seven eight nine ten hundred thousand million please thank thanks hello hi good morning let go get make take
    see call pay paid cost costs price buy year years month months week weeks day days hour hours minute minutes people
    up out just only now today tomorrow yesterday per cent percent since until around next last first second third
    meeting starts start open opens close closes closed temperature room flight born founded independence won lost
    population january february march june july august october december monday tuesday wednesday thursday friday
    saturday sunday chapter note summary add use used read write need want know like new
    visit number distance weight height speed score scored beat match worth within without under above
    me him mine yours again still never always often too much many few less least both other another such same own
    it's don't can't won't let's i'm i've i'll that's there's what's you're you'll we're we'll they're isn't doesn't
    meet fare ratio limit doors door train car house home work school water food rice
    cup cups oil salt sugar heat mix bake cook serve wait stop begin end finish done ready sorry okay
    love think say tell ask answer find give show look come came went bring keep put turn help try
    time date place name quarter sun rain weather
    big small long short high low fast slow early late best better great nice right wrong left top bottom
    man woman men women child children friend friends family mother father student students teacher
    buy sell send receive install press enter choose select save delete change book
    city town country government company market money
    """.split()
)
# English words that are common in Malay sentences.
_MIXED_IN = frozenset(
    "so please before after then but thank thanks you sorry okay hi hello good morning last next like just only now i "
    "by best new off flight meeting submit free".split()
)
_MALAY_FORM = re.compile(
    r"(?:meng|peng|meny|peny|memp|memb|pemb)[a-z]{3,}|[a-z]{3,}(?:nya|kan|lah|kah)|(?:ber|ter|per|pe|ke|se|di)[a-z]{3,}"
    r"(?:an|i)|(?:ber|mem|men)[a-z]{4,}"
)
_ENGLISH_FORM = re.compile(r"[a-z]{3,}(?:tion|tions|ness|ould|ally|ment|ments|able|ful|less|ity)|[a-z]+n't")
_WORD = re.compile(r"(?<![\w.-])[A-Za-z]{1,40}(?:['’][a-z]{1,3})?(?!\w)")
_ADDRESS = re.compile(r"(?:\b\w{2,6}://|www\.|@)\S*|(?<![\w#])#\w+")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")
_TAMIL = re.compile(r"[\u0b80-\u0bff]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_GRAMMAR_WEIGHT = 2.0
_FORM_WEIGHT = 0.5
_FIRST_WEIGHT = 0.25  # extra weight for the first word that belongs to one language only, to decide a tie


def detect_language(text: str, fallback: str = "ms") -> str:
    """Return the language of one sentence: "ms", "en", "zh" or "ta".

    ``fallback``: returned if the language cannot be detected.

    In a mixed sentence, function words count most: "Deadline dia 30/11, so please submit" is Malay.
    """
    han = len(_HAN.findall(text))
    tamil = len(_TAMIL.findall(text))
    if han or tamil:
        latin = len(_LATIN.findall(text))
        if tamil > max(han, latin // 2 if fallback == "ta" else latin):
            return "ta"
        if han * 4 > latin:  # one Chinese character says about as much as four letters
            return "zh"
    return _latin_language(text, fallback)


def _latin_language(text: str, fallback: str) -> str:
    scores = {"ms": 0.0, "en": 0.0}
    shouted = text.isupper() and text.count(" ") > 1
    words = _WORD.findall(_ADDRESS.sub(" ", text))
    if len(words) > 1 and words[-1] == "I":
        words.pop()  # a numeral: "Paus Fransiskus I"
    for written in words:
        if len(written) > 1 and written.isupper() and not shouted:
            continue  # an acronym: "IT", "AS"
        language, weight = _vote(written.lower().replace("’", "'"))
        if weight:
            scores[language] += weight + (0.0 if any(scores.values()) else _FIRST_WEIGHT)
    if scores["ms"] == scores["en"]:
        return fallback
    return max(scores, key=lambda language: scores[language])


def _vote(word: str) -> tuple[str, float]:
    if word in _MALAY_GRAMMAR:
        return "ms", _GRAMMAR_WEIGHT
    if word in _ENGLISH:
        return "en", _FORM_WEIGHT if word in _MIXED_IN else 1.0
    if word in _MALAY or word in CHAT_WORDS:
        return "ms", 1.0
    if _MALAY_FORM.fullmatch(word):
        return "ms", _FORM_WEIGHT
    if _ENGLISH_FORM.fullmatch(word):
        return "en", _FORM_WEIGHT
    return "", 0.0
