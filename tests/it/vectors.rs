//! ES256, RS256 and the compact form against what attackers and other libraries produce: the published Wycheproof vectors for
//! bare signatures, and tables of our own for whole tokens.
//!
//! A token in these tables has a genuine signature over exactly the text that is sent, made with the key that its
//! `kid` names, unless the signature is the point: so it is the form under test that decides, not a broken signature.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use hubgate::{
    base::id::KeyId,
    crypto::jws::{self, JwsError, MAX_TOKEN_LENGTH, SigningKey, VerifyingKey},
    model::key::Algorithm::{Es256, Rs256},
};
use wycheproof::{
    TestResult,
    ecdsa::{TestName, TestSet},
    rsa_pkcs1_verify,
};

/// What our verification says to a published set: accepted, refused, and where it disagrees with the set.
fn run(name: TestName) -> (usize, usize, Vec<usize>) {
    let set = TestSet::load(name).unwrap();
    let id = KeyId::parse("k1").unwrap();
    let (mut accepted, mut refused, mut disagreements) = (0, 0, vec![]);
    for group in &set.test_groups {
        let key = VerifyingKey::new(id.clone(), Es256, &group.key.key).unwrap();
        for test in &group.tests {
            let good = key.verify(&test.msg, &test.sig).is_ok();
            *if good { &mut accepted } else { &mut refused } += 1;
            if good != (test.result == TestResult::Valid) {
                disagreements.push(test.tc_id);
            }
        }
    }
    assert_eq!(accepted + refused, set.number_of_tests);
    (accepted, refused, disagreements)
}

#[test]
fn published_signatures_are_judged_as_published() {
    assert_eq!(run(TestName::EcdsaSecp256r1Sha256P1363), (173, 89, vec![]));
}

/// RFC 7518 section 3.4: R and S as they are, never in DER. Here the valid ones are those that must not pass.
#[test]
fn published_signatures_in_der_are_refused() {
    let (accepted, refused, disagreements) = run(TestName::EcdsaSecp256r1Sha256);
    assert_eq!((accepted, refused, disagreements.len()), (0, 484, 174));
}

/// ES256 is P-256 *with SHA-256*: the same curve with another digest is another algorithm.
#[test]
fn published_signatures_over_another_digest_are_refused() {
    let (accepted, refused, disagreements) = run(TestName::EcdsaSecp256r1Sha512P1363);
    assert_eq!((accepted, refused, disagreements.len()), (0, 332, 242));
}

/// What our verification says to a published set for RSA, as [`run`].
fn run_rsa(name: rsa_pkcs1_verify::TestName) -> (usize, usize, Vec<usize>) {
    let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
    let id = KeyId::parse("k1").unwrap();
    let (mut accepted, mut refused, mut disagreements) = (0, 0, vec![]);
    for group in &set.test_groups {
        let key = VerifyingKey::new(id.clone(), Rs256, &group.asn_key).unwrap();
        for test in &group.tests {
            let good = key.verify(&test.msg, &test.sig).is_ok();
            *if good { &mut accepted } else { &mut refused } += 1;
            if good != (test.result == TestResult::Valid) {
                disagreements.push(test.tc_id);
            }
        }
    }
    assert_eq!(accepted + refused, set.number_of_tests);
    (accepted, refused, disagreements)
}

/// RFC 8017 section 8.2.2: the encoded message is built and compared, not parsed.
#[test]
fn published_rsa_signatures_are_judged_as_published() {
    assert_eq!(run_rsa(rsa_pkcs1_verify::TestName::Rsa2048Sha256), (9, 250, vec![]));
}

/// RS256 is SHA-256, and keys have 2048 bits. The one that is accepted is the set's signature over the wrong digest: ours.
#[test]
fn published_rsa_signatures_over_another_digest_are_refused() {
    let (accepted, refused, disagreements) = run_rsa(rsa_pkcs1_verify::TestName::Rsa2048Sha512);
    assert_eq!((accepted, refused, disagreements.len()), (1, 258, 9));
    let longer = rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa3072Sha256).unwrap();
    for group in &longer.test_groups {
        let key = VerifyingKey::new(KeyId::parse("k1").unwrap(), Rs256, &group.asn_key);
        assert_eq!(key.map(|key| key.id().clone()), Err(JwsError::Malformed));
    }
}

const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"k1"}"#;
/// Its encoding has both letters in which the alphabets differ, and its length leaves bits over.
const PAYLOAD: &str = r#"{"a":"~~~???>>>"}"#;

struct Bench {
    pkcs8: zeroize::Zeroizing<Vec<u8>>,
    public: VerifyingKey,
}

impl Bench {
    fn new() -> Self {
        let pkcs8 = jws::generate_pkcs8(Es256).unwrap();
        let key = SigningKey::from_pkcs8(KeyId::parse("k1").unwrap(), Es256, &pkcs8).unwrap();
        Self { public: key.verifying_key().unwrap(), pkcs8 }
    }

    fn signature(&self, algorithm: &'static EcdsaSigningAlgorithm, message: &str) -> Vec<u8> {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &self.pkcs8).unwrap();
        pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
    }

    fn fixed(&self, message: &str) -> Vec<u8> {
        self.signature(&ECDSA_P256_SHA256_FIXED_SIGNING, message)
    }

    /// These two parts as they are, with a genuine signature.
    fn sealed(&self, header: &str, payload: &str) -> String {
        let message = format!("{header}.{payload}");
        format!("{message}.{}", url(self.fixed(&message)))
    }

    /// This header, genuinely signed.
    fn headed(&self, header: impl AsRef<[u8]>) -> String {
        self.sealed(&url(header), &url(PAYLOAD))
    }

    fn judge(&self, token: impl AsRef<[u8]>) -> Result<jws::Verified, JwsError> {
        jws::verify(token.as_ref(), |kid| (kid == "k1").then_some(&self.public))
    }

    fn refuses(&self, table: impl IntoIterator<Item = (&'static str, String, JwsError)>) {
        let mut rows = 0;
        for (name, token, error) in table {
            assert_eq!(self.judge(&token), Err(error), "{name}: {token:.200}");
            rows += 1;
        }
        assert!(rows > 0);
        assert!(self.judge(self.headed(HEADER)).is_ok(), "the control");
    }
}

fn url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Another spelling of the same bytes: sets a bit of the last letter that means nothing.
fn respelled(part: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(part.len() % 4, 0, "no bit of this one is left over");
    let (rest, last) = part.split_at(part.len() - 1);
    let at = ALPHABET.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    format!("{rest}{}", char::from(ALPHABET[at | 1]))
}

/// RFC 7515 section 2: base64url without padding, and one spelling of each text. A second spelling would be a second
/// token with the same meaning, unknown to whoever keeps lists of tokens.
#[test]
fn each_part_has_one_spelling() {
    use JwsError::Malformed;
    let bench = Bench::new();
    // One space more, so that bits are left over.
    let wide = HEADER.replace(':', ": ");
    let (h, p) = (url(&wide), url(PAYLOAD));
    assert!(p.contains('-') || p.contains('_'), "{p}");
    let verified = bench.judge(bench.sealed(&h, &p)).unwrap();
    assert_eq!((verified.typ.as_deref(), verified.payload.as_slice()), (Some("at+jwt"), PAYLOAD.as_bytes()));
    let message = format!("{h}.{p}");
    let signature = loop {
        let signature = bench.fixed(&message);
        let text = STANDARD_NO_PAD.encode(&signature);
        if text.contains(['+', '/']) {
            break signature;
        }
    };
    let signed = |text: String| format!("{message}.{text}");
    assert!(bench.judge(signed(url(&signature))).is_ok());
    let broken = |part: &str, with: &str| format!("{}{with}{}", &part[..8], &part[8..]);
    bench.refuses([
        ("padded payload", bench.sealed(&h, &URL_SAFE.encode(PAYLOAD)), Malformed),
        ("padded header", bench.sealed(&URL_SAFE.encode(&wide), &p), Malformed),
        ("payload with bits left over", bench.sealed(&h, &respelled(&p)), Malformed),
        ("header with bits left over", bench.sealed(&respelled(&h), &p), Malformed),
        ("payload in the standard alphabet", bench.sealed(&h, &STANDARD_NO_PAD.encode(PAYLOAD)), Malformed),
        ("padded and in the standard alphabet", bench.sealed(&h, &STANDARD.encode(PAYLOAD)), Malformed),
        ("payload with a space", bench.sealed(&h, &broken(&p, " ")), Malformed),
        ("payload with a line break", bench.sealed(&h, &broken(&p, "\r\n")), Malformed),
        ("header with a line break", bench.sealed(&broken(&h, "\n"), &p), Malformed),
        ("payload with a NUL", bench.sealed(&h, &broken(&p, "\0")), Malformed),
        ("payload with an escape", bench.sealed(&h, &broken(&p, "%41")), Malformed),
        ("payload with a letter that is none", bench.sealed(&h, &broken(&p, "é")), Malformed),
        ("a lone letter at the end", bench.sealed(&h, &format!("{}A", url("abc"))), Malformed),
        ("space before", format!(" {}", bench.sealed(&h, &p)), Malformed),
        ("line break behind", format!("{}\n", bench.sealed(&h, &p)), Malformed),
        ("padded signature", signed(URL_SAFE.encode(&signature)), Malformed),
        ("signature with bits left over", signed(respelled(&url(&signature))), Malformed),
        ("signature in the standard alphabet", signed(STANDARD_NO_PAD.encode(&signature)), Malformed),
        ("signature with a line break", signed(broken(&url(&signature), "\n")), Malformed),
        ("signature twice encoded", signed(url(url(&signature))), JwsError::BadSignature),
    ]);
}

/// RFC 7515 section 4; RFC 8725 sections 3.1 and 3.3. Signed by us, and refused nevertheless.
#[test]
fn headers_have_one_reading() {
    use JwsError::{Malformed, UnknownKey, WrongAlgorithm};
    let bench = Bench::new();
    let member = |member: &str| bench.headed(format!("{},{member}}}", &HEADER[..HEADER.len() - 1]));
    let first = |member: &str| bench.headed(format!("{{{member},{}", &HEADER[1..]));
    let instead = |from: &str, to: &str| bench.headed(HEADER.replace(from, to));
    let latin =
        |byte: &[u8]| bench.headed([&br#"{"alg":"ES256","typ":""#[..], byte, br#"","kid":"k1"}"#].concat());
    bench.refuses([
        ("alg doubled by an escape", member(r#""\u0061lg":"none""#), Malformed),
        ("alg doubled, the escape first", first(r#""\u0061lg":"none""#), Malformed),
        ("kid doubled by an escape", member(r#""k\u0069d":"k2""#), Malformed),
        ("alg equal twice", member(r#""alg":"ES256""#), Malformed),
        ("Alg beside alg", member(r#""Alg":"none""#), Malformed),
        ("alg with a space beside alg", member(r#""alg ":"none""#), Malformed),
        ("alg with a NUL beside alg", member(r#""alg\u0000":"none""#), Malformed),
        ("ALG alone", instead(r#""alg""#, r#""ALG""#), Malformed),
        ("alg with an escape in its value", instead("ES256", r"\u0045S256"), Malformed),
        ("kid with an escape in its value", instead("k1", r"\u006b1"), Malformed),
        ("a long s in ES256", instead("ES256", "E\u{17f}256"), WrongAlgorithm),
        ("digits of another script", instead("ES256", "ES２５６"), WrongAlgorithm),
        ("alg with a line break", instead("ES256", r"ES256\n"), Malformed),
        ("ESP256", instead("ES256", "ESP256"), WrongAlgorithm),
        ("dir", instead("ES256", "dir"), WrongAlgorithm),
        ("ECDH-ES", instead("ES256", "ECDH-ES"), WrongAlgorithm),
        ("kid in another case", instead("k1", "K1"), UnknownKey),
        ("kid with a space", instead("k1", "k1 "), UnknownKey),
        ("kid null", instead(r#""k1""#, "null"), UnknownKey),
        ("kid null, then ours", first(r#""kid":null"#), Malformed),
        ("x5c", member(r#""x5c":["MIIB"]"#), Malformed),
        ("x5t#S256", member(r#""x5t#S256":"AAAA""#), Malformed),
        ("epk", member(r#""epk":{"kty":"EC"}"#), Malformed),
        ("p2c", member(r#""p2c":2147483647"#), Malformed),
        ("b64 true", member(r#""b64":true"#), Malformed),
        ("b64 with crit", member(r#""b64":false,"crit":["b64"]"#), Malformed),
        ("crit of alg", member(r#""crit":["alg"]"#), Malformed),
        ("crit null", member(r#""crit":null"#), Malformed),
        ("a prototype", member(r#""__proto__":{"alg":"none"}"#), Malformed),
        ("a member without a name", member(r#""":1"#), Malformed),
        ("a list in the order of the members", bench.headed(r#"["ES256","at+jwt","k1"]"#), Malformed),
        ("a list of the header", bench.headed(format!("[{HEADER}]")), Malformed),
        ("a text of the header", bench.headed(serde_json::to_string(HEADER).unwrap()), Malformed),
        ("null", bench.headed("null"), Malformed),
        ("a space before", bench.headed(format!(" {HEADER}")), Malformed),
        ("a byte order mark", bench.headed(format!("\u{feff}{HEADER}")), Malformed),
        ("two headers", bench.headed(format!("{HEADER}{HEADER}")), Malformed),
        ("a NUL behind", bench.headed(format!("{HEADER}\0")), Malformed),
        ("a comment", bench.headed(format!("{HEADER}//")), Malformed),
        ("a comma behind the last member", bench.headed(HEADER.replace('}', ",}")), Malformed),
        ("single quotes", bench.headed(HEADER.replace('"', "'")), Malformed),
        (
            "UTF-16",
            bench.headed(HEADER.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()),
            Malformed,
        ),
        ("a byte that is no UTF-8", latin(b"\xff"), Malformed),
        ("an overlong letter", latin(b"\xc1\xa1"), Malformed),
        ("half a surrogate pair", latin(b"\xed\xa0\x80"), Malformed),
        ("a letter that is cut off", latin(b"\xe2\x82"), Malformed),
        ("half a surrogate pair, escaped", latin(br"\ud800"), Malformed),
        ("a control character", latin(b"\x1f"), Malformed),
        (
            "a member that is no UTF-8",
            bench.headed(b"{\"alg\":\"ES256\",\"kid\":\"k1\",\"\xff\":1}"),
            Malformed,
        ),
        ("a kid of 8,000 letters", instead("k1", &"k".repeat(8000)), UnknownKey),
        (
            "1,000 members",
            member(&(0..1000).map(|n| format!("\"m{n}\":1")).collect::<Vec<_>>().join(",")),
            Malformed,
        ),
        ("1,000 times the same member", member(&[r#""kid":"k1""#; 700].join(",")), Malformed),
        ("5,000 levels", member(&format!("\"x\":{}{}", "[".repeat(4500), "]".repeat(4500))), Malformed),
    ]);
}

/// RFC 7515 sections 3.1, 7.2 and appendix F; RFC 7516 section 9: other forms of the same things.
#[test]
fn only_the_compact_form_is_a_token() {
    use JwsError::{BadSignature, Malformed, TooLong};
    let bench = Bench::new();
    let token = bench.headed(HEADER);
    let parts: Vec<&str> = token.split('.').collect();
    let (h, p, s) = (parts[0], parts[1], parts[2]);
    let flattened = format!(r#"{{"payload":"{p}","protected":"{h}","signature":"{s}"}}"#);
    let general = format!(r#"{{"payload":"{p}","signatures":[{{"protected":"{h}","signature":"{s}"}}]}}"#);
    let unsecured = format!("{}.{p}.", url(HEADER.replace("ES256", "none")));
    let longer = |length: usize| {
        // Payloads of a multiple of three bytes: each step is four letters.
        let room = length - h.len() - 2 - 86;
        bench.sealed(h, &url(vec![b' '; room * 3 / 4]))
    };
    bench.refuses([
        ("flattened JSON", flattened, Malformed),
        ("general JSON", general, Malformed),
        ("an unsecured token", unsecured.clone(), JwsError::WrongAlgorithm),
        ("an unsecured token without its last dot", unsecured[..unsecured.len() - 1].to_owned(), Malformed),
        ("an unsecured token with a signature", format!("{unsecured}{s}"), JwsError::WrongAlgorithm),
        ("a detached payload", format!("{h}..{s}"), BadSignature),
        ("the payload beside it", format!("{h}.{p}.{s}.{p}"), Malformed),
        ("a JWE", format!("{h}.{p}.{p}.{p}.{s}"), Malformed),
        ("a JWE without key", format!("{h}..{p}.{p}.{s}"), Malformed),
        ("16,000 dots", ".".repeat(16_000), Malformed),
        ("other dots", token.replace('.', "。"), Malformed),
        ("encoded dots", token.replace('.', "%2E"), Malformed),
        ("the token within a token", bench.sealed(&url(&token), p), Malformed),
        ("header and payload swapped", bench.sealed(p, h), Malformed),
        ("a header for two", format!("{h}.{h}.{s}"), BadSignature),
        ("with its scheme", format!("Bearer {token}"), Malformed),
        ("in quotes", format!("\"{token}\""), Malformed),
        ("more than fits", longer(MAX_TOKEN_LENGTH + 8), TooLong),
    ]);
    // An empty payload is a payload: it is the claims that must be there.
    assert_eq!(bench.judge(bench.sealed(h, "")).unwrap().payload, b"");
    let longest = longer(MAX_TOKEN_LENGTH);
    assert!((MAX_TOKEN_LENGTH - 4..=MAX_TOKEN_LENGTH).contains(&longest.len()), "{}", longest.len());
    assert!(bench.judge(longest).is_ok());
}

/// The order of P-256's group.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// `ORDER - value`, for a value below it.
fn negated(value: &[u8]) -> [u8; 32] {
    let mut difference = [0; 32];
    let mut borrow = 0;
    for at in (0..32).rev() {
        let digit = i16::from(ORDER[at]) - i16::from(value[at]) - borrow;
        borrow = i16::from(digit < 0);
        difference[at] = u8::try_from(digit & 0xff).unwrap();
    }
    assert_eq!(borrow, 0);
    difference
}

/// RFC 7518 section 3.4: exactly 64 bytes, R and S from 1 to n - 1.
#[test]
fn signatures_have_one_form() {
    let bench = Bench::new();
    let message = format!("{}.{}", url(HEADER), url(PAYLOAD));
    let genuine = bench.fixed(&message);
    let (r, s) = genuine.split_at(32);
    let zero = [0; 32];
    let one = negated(&negated(&[&[0; 31][..], &[1]].concat()));
    let last = negated(&one);
    let der = bench.signature(&ECDSA_P256_SHA256_ASN1_SIGNING, &message);
    assert!((68..=72).contains(&der.len()));
    let mut refused = vec![
        ("nothing", vec![]),
        ("r alone", r.to_vec()),
        ("a zero before", [&[0][..], &genuine].concat()),
        ("a zero behind", [&genuine[..], &[0]].concat()),
        ("a zero before each", [&[0][..], r, &[0], s].concat()),
        ("the last byte missing", genuine[..63].to_vec()),
        ("twice", [&genuine[..], &genuine].concat()),
        ("48 bytes each", [&[0; 16][..], r, &[0; 16], s].concat()),
        ("66 bytes each", [&[0; 34][..], r, &[0; 34], s].concat()),
        ("swapped", [s, r].concat()),
        ("r negated", [&negated(r)[..], s].concat()),
        ("DER", der.clone()),
        ("DER, cut to 64 bytes", der[..64].to_vec()),
    ];
    for (name, odd) in
        [("zero", zero), ("one", one), ("n - 1", last), ("n", ORDER), ("the highest", [0xff; 32])]
    {
        refused.push((name, [&odd[..], s].concat()));
        refused.push((name, [r, &odd].concat()));
        for other in [zero, one, last, ORDER, [0xff; 32]] {
            refused.push((name, [odd, other].concat()));
        }
    }
    bench.refuses(
        refused
            .into_iter()
            .map(|(name, bytes)| (name, format!("{message}.{}", url(bytes)), JwsError::BadSignature)),
    );
    let other = Bench::new();
    let strange = format!("{message}.{}", url(other.fixed(&message)));
    assert_eq!(bench.judge(&strange), Err(JwsError::BadSignature));
    assert!(other.judge(&strange).is_ok());
    // Whoever has a token can make its twin: s and n - s both verify, here as in every library of ES256. So nothing
    // may rest on the text of a token alone; revocations name the id that both have in common.
    let twin = format!("{message}.{}", url([r, &negated(s)].concat()));
    assert_eq!(bench.judge(twin), bench.judge(format!("{message}.{}", url(&genuine))));
}

/// SEC 1 section 2.3.4: an uncompressed point on the curve, and nothing else, is a key.
#[test]
fn only_points_of_the_curve_are_keys() {
    let bench = Bench::new();
    let jwk = serde_json::to_value(bench.public.jwk()).unwrap();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let (x, y) = (coordinate("x"), coordinate("y"));
    let key = |prefix: u8, x: &[u8], y: &[u8]| {
        VerifyingKey::new(KeyId::parse("k1").unwrap(), Es256, &[&[prefix][..], x, y].concat())
            .map(|key| key.id().clone())
    };
    assert!(key(4, &x, &y).is_ok());
    let parity = y[31] & 1;
    let mut beside = y.clone();
    beside[31] ^= 1;
    for (name, attempt) in [
        ("compressed", key(2 + parity, &x, &[])),
        ("hybrid", key(6 + parity, &x, &y)),
        ("infinity", key(0, &[], &[])),
        ("infinity, filled up", key(0, &[0; 32], &[0; 32])),
        ("zeros", key(4, &[0; 32], &[0; 32])),
        ("beyond the field", key(4, &[0xff; 32], &y)),
        ("beside the curve", key(4, &x, &beside)),
        ("swapped", key(4, &y, &x)),
        ("without its prefix", key(x[0], &x[1..], &y)),
        ("longer", key(4, &x, &[&y[..], &[0]].concat())),
        ("two coordinates of P-384", key(4, &[1; 48], &[1; 48])),
    ] {
        assert_eq!(attempt, Err(JwsError::Malformed), "{name}");
    }
}
