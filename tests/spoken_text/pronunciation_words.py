"""Data for the pronunciation tests: words with both kinds of e, names, and Malay sentences with English words."""

from __future__ import annotations

# é is e taling [e], e is e pepet [ə].
WORDS = """
belas senang sedap penat berat beras gelap pedas segar sesat lengkap cemas keempat sejam kedah pelan kelab besar
kecil dekat lebih penuh kering basah sejuk penting terima kerana kepada telah tetapi seperti sebab setiap semua
sentiasa selalu sekolah sembilan empat enam sepuluh seratus seribu sebelas tengah pergi beli beri jemput tempat
tepi tekan terus terang terbang terjun tebal tebu tembak tempah tenaga tenang tentang tentu teruk teman telur
telinga teluk telan tegas tegur tegak tekun segera segala sedih sedia sedang sedar sebar sebut sekat selam selat
selamat selasa semak semangat sembahyang sembuh sempat sempit senjata senyap senyum sepi seram serang serba seri
sering seru setia setuju sétém rebus rebut rendah rendam renang rempah resah retak redup remaja rezeki restu
pecah pegang pejam pekan peluang peluk peluru pelajar penjara penuhi perang perasa percaya perdana perempuan
perintah periksa perlu permata pernah perut pesan pesat petang petik peti petir lebat lebuh lemah lemak lembut
lembu lepas lesung letak letih letup lengan lelah lekat lekas negara negeri nelayan neraka ngeri menang menara
menteri mesti mesra mertua mercun meriah merdu menantu menung kebun kecut kejar kejam kekal kelapa keliru keluar
keluarga kemas kembali kembang kembar kemudian kena kenal kenang kenyang kepala kepung kera keras kerja kertas
kerusi kesan ketam ketat ketawa ketua ketuk genap gelas geli gelombang gemar gembira gemuk genggam geram gerak
gergaji gerimis getah hembus hendak hentam henti jejak jelas jelita jemur jenis jentera jerat jernih jeruk
jenaka jepun debu degup delima demam dendam dengan dengar deras derita detik bécok belakang belanja belimbing
belia belum belut benang benar benci benih bentuk berani bersih besi betul betina cegah cekap celah celana
cemburu cepat cerah cerdas cerita cermat cermin emas embun entah erti méja mérah méwah bélok bébas béza bésok
béca bénténg bérés béla déwasa désa déwan déwa dérét ékor élok énak éja élak édar ésok géng gésa gélék hébat
hébah hérét héla jéti kéju kéték kécoh kékok keréta kémpén léhér lébar léga léka lénsa léwat lékar lémpar léréng
médan média mémang meréka merdéka nénék orén péna péndék péngsan pénsél pésta péta pétak péka pérak rékod réhat
réla réka rébéh rénda sépak séwa selésa seléra sengkéta sérong sén séndok séngét téma téka téksi témbok témpé
témpoh téngok ténis téh téwas boléh toléh comél monyét dompét pokét rokét goréng topéng bonéka corék solék bogél
jogét robék méskipun istiméwa geréja générasi négatif ékonomi éléktrik téléfon télévisyén komputer oktober
novémber disémber séptémber doktor klinik asét intérnét réstoran sistém hotél modél lésén résipi résit mésin
méséj projék objék subjék prosés protés présidén parlimén dokumén komén agén sénsor geréja
""".split()

NAMES = {
    "Kuala Lumpur": "kualə lumpʊr",
    "Putrajaya": "putradʒajə",
    "Selangor": "səlaŋor",
    "Johor Bahru": "dʒohor bahru",
    "Pahang": "pahaŋ",
    "Perak": "peraʔ",
    "Perlis": "pərlɪs",
    "Kedah": "kədah",
    "Kelantan": "kəlantan",
    "Terengganu": "tərəŋɡanu",
    "Melaka": "məlakə",
    "Negeri Sembilan": "nəɡəri səmbilan",
    "Pulau Pinang": "pulaʊ pinaŋ",
    "Sabah": "sabah",
    "Sarawak": "sarawaʔ",
    "Labuan": "labuan",
    "Kuching": "kutʃɪŋ",
    "Ipoh": "ipoh",
    "Seremban": "sərəmban",
    "Petaling Jaya": "pətalɪŋ dʒajə",
    "Shah Alam": "ʃah alam",
    "Cyberjaya": "saɪbərdʒajə",
    "Puchong": "putʃoŋ",
    "Cheras": "tʃəras",
    "Kepong": "kəpoŋ",
    "Temerloh": "təmərloh",
    "Bentong": "bəntoŋ",
    "Mersing": "mərsɪŋ",
    "Semporna": "səmpornə",
    "Tenom": "tenom",
    "Gerik": "ɡərɪʔ",
    "Besut": "bəsʊt",
    "Sepang": "səpaŋ",
    "Serdang": "sərdaŋ",
    "Kerteh": "kərteh",
    "Tanah Merah": "tanah merah",
    "Gopeng": "ɡopeŋ",
    "Langkawi": "laŋkawi",
    "Ahmad": "ahmad",
    "Muhammad": "muhamad",
    "Mohamed": "mohamed",
    "Abdullah": "abdulah",
    "Hussein": "husen",
    "Salleh": "saleh",
    "Anwar Ibrahim": "anwar ibrahɪm",
    "Siti Nurhaliza": "siti nurhalizə",
    "Tengku": "təŋku",
    "Syed": "sajed",
    "Zainab": "zaɪnab",
    "Khadijah": "xadidʒah",
    "Lee Chong Wei": "li tʃoŋ weɪ",
    "Tan Mei Ling": "tan meɪ liŋ",
    "Krishnan": "krisnan",
    "Rajendran": "radʒendran",
    "Subramaniam": "subramaniam",
    "Petronas": "petronas",
    "Felda": "feldə",
    "Shopee": "ʃopi",
    "Yeoh": "jo",
    "Nurul Izzah": "nurʊl izah",
    "Jerman": "dʒerman",
    "Perancis": "pərantʃɪs",
    "Inggeris": "iŋɡərɪs",
    "Eropah": "eropah",
    "Amerika": "amerikə",
    "Nepal": "nepal",
    "Hang Jebat": "haŋ dʒebat",
}

# An asterisk marks each English word.
MANGLISH = """
Saya nak *book *flight dan hotel
Jangan lupa *attach *file itu
*Boss saya *on *leave
*Weekend ini kami pergi *shopping
*Handphone saya rosak
Kena isi *form dulu
*Deadline projek ini esok
*Sorry lambat
*Laptop dia rosak
*Password saya dah *expired
*Parking penuh
*Boyfriend dia *handsome
*Happy *birthday kawan
*Team kami *present *slide
Kena *stay *back buat *overtime
Jom *lunch
*Driver *Grab dah sampai
*Order makanan guna *foodpanda
*Customer *service tak jawab
Barang itu *out *of *stock
*Post gambar di *Instagram
*Charge *phone saya
Dia *busy
*Share *link tu
*Refund duit saya
*Scan kod itu
*Weather hari ini *okay
Dia *sick *leave
*Update *website kami
*Check *email sebelum *meeting
*Download *app itu
*Upload *file ke *cloud
*Account saya kena *block
*Please jawab sekarang
Guna *Facebook dan *Google
Beli *iPhone di kedai
*WhatsApp saya nanti
*Click *button itu
*Settle masalah itu
*Confirm tempahan saya
*Cancel tempahan itu
Dia *charge saya mahal
*Discount besar hari ini
*Delivery lambat
*Supplier kami di *China
*Interview esok pagi
*Salary belum masuk
*Budget kami kecil
*Traffic *jam teruk
*Actually saya tak tahu
*Basically dia betul
*Screenshot gambar itu
*Weekend nanti kita *jogging
*Healthy *lifestyle penting
*Assignment belum siap
*Lecturer kami garang
*Group *chat itu bising
*Online *banking tak boleh
*Charger saya hilang
*Follow *up dengan dia
*Update *software *laptop itu
*Supervisor saya minta *report
""".strip().splitlines()
