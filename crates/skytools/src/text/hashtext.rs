//! The server's `hashtext()`, by which functions that shard choose a part. Both are hash functions of Bob Jenkins, of
//! the bytes of the text in UTF-8, as servers on little-endian machines compute them.

/// What the servers begin with.
const GOLDEN_RATIO: u32 = 0x9e37_79b9;
const SEED: u32 = 3_923_095;

/// That of PostgreSQL 8.4 and newer ("lookup3").
#[must_use]
pub fn hashtext(text: &str) -> i32 {
    let mut state = [GOLDEN_RATIO.wrapping_add(length(text)).wrapping_add(SEED); 3];
    let (blocks, rest) = text.as_bytes().as_chunks();
    for block in blocks {
        add(&mut state, block);
        for (step, turn) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
            let [x, y, z] = [step % 3, (step + 1) % 3, (step + 2) % 3];
            state[x] = state[x].wrapping_sub(state[z]) ^ state[z].rotate_left(turn);
            state[z] = state[z].wrapping_add(state[y]);
        }
    }
    add(&mut state, &last_block(rest));
    for (step, turn) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let [x, z] = [(step + 2) % 3, (step + 1) % 3];
        state[x] = (state[x] ^ state[z]).wrapping_sub(state[z].rotate_left(turn));
    }
    state[2].cast_signed()
}

/// That of PostgreSQL 8.3 and older ("lookup2").
#[must_use]
pub fn hashtext_until_8_3(text: &str) -> i32 {
    let mut state = [GOLDEN_RATIO, GOLDEN_RATIO, SEED];
    let (blocks, rest) = text.as_bytes().as_chunks();
    for block in blocks {
        add(&mut state, block);
        mix_until_8_3(&mut state);
    }
    add(&mut state, &last_block(rest));
    state[2] = state[2].wrapping_add(length(text));
    mix_until_8_3(&mut state);
    state[2].cast_signed()
}

fn mix_until_8_3(state: &mut [u32; 3]) {
    for (step, shift) in [13, 8, 13, 12, 16, 5, 3, 10, 15].into_iter().enumerate() {
        let [x, y, z] = [step % 3, (step + 1) % 3, (step + 2) % 3];
        let shifted = if x == 1 { state[z] << shift } else { state[z] >> shift };
        state[x] = state[x].wrapping_sub(state[y]).wrapping_sub(state[z]) ^ shifted;
    }
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).expect("a text of PostgreSQL is shorter than 1 GiB")
}

fn add(state: &mut [u32; 3], block: &[u8; 12]) {
    let (words, _) = block.as_chunks();
    for (value, word) in state.iter_mut().zip(words) {
        *value = value.wrapping_add(u32::from_le_bytes(*word));
    }
}

/// The bytes that are left, fewer than twelve. The lowest byte of the last word is kept for the length.
fn last_block(rest: &[u8]) -> [u8; 12] {
    let mut block = [0; 12];
    let (words, last) = rest.split_at(rest.len().min(8));
    block[..words.len()].copy_from_slice(words);
    block[9..9 + last.len()].copy_from_slice(last);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_a_server_of_today() {
        let hashes = [
            ("", -1477818771),
            ("a", 1075015857),
            ("hello", -1870292951),
            ("hello world", 1021725223),
            ("abcdefghijkl", -1586087212),
            ("abcdefghijklmnopqrstuvwxyz", 167831483),
            ("Tõrva", 1955001745),
        ];
        for (text, hash) in hashes {
            assert_eq!(hashtext(text), hash);
        }
    }

    #[test]
    fn those_of_a_server_of_old() {
        let hashes = [
            ("", -863449762),
            ("a", 542836691),
            ("hello", 1685722881),
            ("hello world", 410225754),
            ("abcdefghijk", -463449216),
            ("abcdefghijkl", -582391550),
            ("abcdefghijklmnopqrstuvwxyz", -636206905),
            ("Tõrva", -1138809415),
        ];
        for (text, hash) in hashes {
            assert_eq!(hashtext_until_8_3(text), hash);
        }
    }
}
