//! HTTP/1.1 on bytes: heads, chunks and lengths, read strictly.

/// The offset just after the blank line that ends a head.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// The fields of a head or trailer section: names in lower case, values without surrounding blanks.
pub(crate) fn fields(section: &str) -> Vec<(String, String)> {
    section
        .split("\r\n")
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
        })
        .collect()
}

/// Reads a chunked body as strictly as RFC 9112 section 7.1 allows, without extensions.
#[derive(Debug, Default)]
pub(crate) struct ChunkReader {
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: String,
    last_chunk_seen: bool,
}

impl ChunkReader {
    /// Takes from `buffer` what can be read. True: the body is complete, and `buffer` begins with what follows it.
    ///
    /// # Errors
    /// What is wrong with the coding.
    pub(crate) fn feed(&mut self, buffer: &mut Vec<u8>) -> Result<bool, String> {
        let mut at = 0;
        let outcome = self.advance(buffer, &mut at);
        buffer.drain(..at);
        outcome
    }

    fn advance(&mut self, bytes: &[u8], at: &mut usize) -> Result<bool, String> {
        loop {
            let rest = &bytes[*at..];
            if self.last_chunk_seen {
                if rest.starts_with(b"\r\n") {
                    *at += 2;
                    return Ok(true);
                }
                let Some(end) = head_end(rest) else { return Ok(false) };
                self.trailers = String::from_utf8_lossy(&rest[..end - 4]).into_owned();
                *at += end;
                return Ok(true);
            }
            let Some(line_end) = rest.windows(2).position(|w| w == b"\r\n") else { return Ok(false) };
            let line = String::from_utf8_lossy(&rest[..line_end]).into_owned();
            let hex = !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
            let size = hex.then(|| usize::from_str_radix(&line, 16).ok()).flatten();
            let size = size.ok_or_else(|| format!("chunk size {line:?}"))?;
            let data = line_end + 2;
            if size == 0 {
                self.last_chunk_seen = true;
                *at += data;
                continue;
            }
            if rest.len() < data + size + 2 {
                return Ok(false);
            }
            if &rest[data + size..data + size + 2] != b"\r\n" {
                return Err("no line end after a chunk".into());
            }
            self.body.extend_from_slice(&rest[data..data + size]);
            *at += data + size + 2;
        }
    }
}

/// `body` in the chunked coding, in chunks of at most `size`.
pub(crate) fn to_chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut coded = Vec::with_capacity(body.len() + 64);
    for chunk in body.chunks(size) {
        coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\n\r\n");
    coded
}

/// Whether every byte may stand in a token (RFC 9110 section 5.6.2), and there is one.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[test]
fn the_chunked_reader_is_strict() {
    let read = |bytes: &[u8]| {
        let (mut reader, mut buffer) = (ChunkReader::default(), bytes.to_vec());
        reader.feed(&mut buffer).map(|done| (done, reader.body, reader.trailers, buffer))
    };
    let whole = to_chunked(b"hello world", 4);
    assert_eq!(read(&whole), Ok((true, b"hello world".to_vec(), String::new(), vec![])));
    assert_eq!(read(b"5\r\nhel"), Ok((false, vec![], String::new(), b"5\r\nhel".to_vec())));
    assert_eq!(read(b"0\r\na: b\r\n\r\nrest"), Ok((true, vec![], "a: b".into(), b"rest".to_vec())));
    for bad in [&b"+5\r\nhello\r\n"[..], b"0x5\r\n", b"5 \r\nhello\r\n", b"5\r\nhelloX\r\n", b"\r\n"] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
}
