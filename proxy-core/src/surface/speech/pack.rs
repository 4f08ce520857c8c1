//! Samples into the formats that clients ask for, as they come.

use dialect::openai_to_gemini::AudioFormat;
use http::HeaderValue;
use opus_pure::{Application, MAX_PACKET_BYTES, OggOpusWriter, OpusEncoder, OpusHead};
use rusty_mp3::{Mp3Encoder, Mp3EncoderConfig};

/// Bits a second of MP3: of speech, nobody hears more.
const MP3_KBPS: u32 = 64;
/// Bits a second of Opus, likewise.
const OPUS_BPS: i32 = 32_000;
/// Opus counts in 48 000 a second, whatever the rate.
const OPUS_CLOCK: u32 = 48_000;

/// Packs samples of 16 bits, little-endian, one channel.
pub(super) struct Packer {
    format: AudioFormat,
    /// Samples a second, as the first that came have it.
    rate: Option<u32>,
    /// A byte whose other half has not come yet.
    half: Option<u8>,
    state: State,
}

/// The samples do not fit the format.
#[derive(Debug, thiserror::Error)]
#[error("Google's audio has {rate} samples a second, which {format:?} cannot hold. Ask for wav.")]
pub(super) struct Unpackable {
    rate: u32,
    format: AudioFormat,
}

enum State {
    Pcm,
    /// All samples: the header says how many there are.
    Wav(Vec<u8>),
    Mp3(Box<Mp3Encoder>),
    Opus(Option<Box<Opus>>),
}

impl Packer {
    pub fn new(format: AudioFormat) -> Self {
        let state = match format {
            AudioFormat::Pcm => State::Pcm,
            AudioFormat::Wav => State::Wav(Vec::new()),
            AudioFormat::Mp3 => State::Mp3(Box::new(Mp3Encoder::new(Mp3EncoderConfig {
                bitrate_kbps: MP3_KBPS,
                vbr_quality: None,
            }))),
            AudioFormat::Opus => State::Opus(None),
        };
        Self {
            format,
            rate: None,
            half: None,
            state,
        }
    }

    /// What to send for these samples, which may end within one.
    pub fn push(&mut self, samples: &[u8], rate: u32) -> Result<Vec<u8>, Unpackable> {
        let rate = *self.rate.get_or_insert(rate);
        let unpackable = Unpackable {
            rate,
            format: self.format,
        };
        let mut whole = Vec::with_capacity(samples.len() + 1);
        whole.extend(self.half.take());
        whole.extend_from_slice(samples);
        if whole.len() % 2 == 1 {
            self.half = whole.pop();
        }
        match &mut self.state {
            State::Pcm => Ok(whole),
            State::Wav(all) => {
                all.append(&mut whole);
                Ok(Vec::new())
            }
            State::Mp3(encoder) => {
                if encoder.push_pcm_s16le(&whole, 1, rate).is_err() {
                    return Err(unpackable);
                }
                Ok(packets(encoder))
            }
            State::Opus(opus) => {
                let opus = match opus {
                    Some(opus) => opus,
                    None => opus.insert(Box::new(Opus::new(rate).map_err(|_| unpackable)?)),
                };
                let words = whole.chunks_exact(2);
                let words = words.map(|word| i16::from_le_bytes([word[0], word[1]]));
                opus.push(words).map_err(|_| Unpackable {
                    rate,
                    format: self.format,
                })
            }
        }
    }

    /// What to send at the end.
    pub fn finish(&mut self) -> Vec<u8> {
        match &mut self.state {
            State::Pcm => Vec::new(),
            State::Wav(all) => {
                let mut file = wav_header(all.len(), self.rate.unwrap_or(24_000));
                file.append(all);
                file
            }
            State::Mp3(encoder) => {
                encoder.finish();
                packets(encoder)
            }
            State::Opus(opus) => opus
                .take()
                .and_then(|opus| opus.finish().ok())
                .unwrap_or_default(),
        }
    }
}

/// What the client is told that it gets.
pub(super) fn content_type(format: AudioFormat) -> HeaderValue {
    HeaderValue::from_static(match format {
        AudioFormat::Mp3 => "audio/mpeg",
        AudioFormat::Opus => "audio/ogg",
        AudioFormat::Wav => "audio/wav",
        AudioFormat::Pcm => "audio/pcm",
    })
}

fn packets(encoder: &mut Mp3Encoder) -> Vec<u8> {
    let mut out = Vec::new();
    while let Ok(packet) = encoder.next_packet() {
        out.extend_from_slice(&packet);
    }
    out
}

/// The header of a WAV file of one channel of 16 bits.
fn wav_header(bytes: usize, rate: u32) -> Vec<u8> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX - 36);
    let mut header = Vec::with_capacity(44);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&(bytes + 36).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    header.extend_from_slice(&[1, 0, 1, 0]);
    header.extend_from_slice(&rate.to_le_bytes());
    header.extend_from_slice(&(rate * 2).to_le_bytes());
    // Bytes and bits of a sample.
    header.extend_from_slice(&[2, 0, 16, 0]);
    header.extend_from_slice(b"data");
    header.extend_from_slice(&bytes.to_le_bytes());
    header
}

/// A file of Ogg Opus as it grows.
struct Opus {
    encoder: OpusEncoder,
    writer: OggOpusWriter<Vec<u8>>,
    /// Samples that do not fill a frame yet.
    waiting: Vec<i16>,
    /// Samples of a frame: 20 ms.
    frame: usize,
    /// Ticks of Opus's clock in a sample.
    ticks: u32,
    /// All samples that came.
    samples: u64,
    pre_skip: u16,
}

impl Opus {
    fn new(rate: u32) -> opus_pure::Result<Self> {
        let hertz = i32::try_from(rate).unwrap_or_default();
        let mut encoder = OpusEncoder::new(hertz, 1, Application::Audio)?;
        encoder.bitrate_bps = OPUS_BPS;
        let head = OpusHead::for_encoder(&encoder, rate);
        Ok(Self {
            pre_skip: head.pre_skip,
            writer: OggOpusWriter::new(Vec::new(), head)?,
            encoder,
            waiting: Vec::new(),
            frame: (rate / 50) as usize,
            ticks: OPUS_CLOCK / rate,
            samples: 0,
        })
    }

    fn push(&mut self, samples: impl Iterator<Item = i16>) -> opus_pure::Result<Vec<u8>> {
        let before = self.waiting.len();
        self.waiting.extend(samples);
        self.samples += (self.waiting.len() - before) as u64;
        let mut packet = vec![0; MAX_PACKET_BYTES];
        let mut from = 0;
        // The last frame is the end's, which cuts it to size.
        while self.waiting.len() - from > self.frame {
            let frame = &self.waiting[from..from + self.frame];
            let length = self.encoder.encode_s16(frame, self.frame, &mut packet)?;
            self.writer.write_packet(&packet[..length])?;
            from += self.frame;
        }
        self.waiting.drain(..from);
        Ok(self
            .writer
            .get_mut()
            .map(std::mem::take)
            .unwrap_or_default())
    }

    /// The rest. The encoder is behind by what it skips at the beginning, so that much silence
    /// follows, and the last page says where the samples end (RFC 7845 §4.4).
    fn finish(mut self) -> opus_pure::Result<Vec<u8>> {
        let end = u64::from(self.pre_skip) + self.samples * u64::from(self.ticks);
        let behind = u32::from(self.pre_skip).div_ceil(self.ticks) as usize;
        let length = (self.waiting.len() + behind).next_multiple_of(self.frame);
        self.waiting.resize(length, 0);
        let frames = length / self.frame;
        let mut packet = vec![0; MAX_PACKET_BYTES];
        for (at, frame) in self.waiting.chunks_exact(self.frame).enumerate() {
            let length = self.encoder.encode_s16(frame, self.frame, &mut packet)?;
            let packet = &packet[..length];
            let so_far = u64::try_from(self.writer.granule()).unwrap_or_default();
            let left = u32::try_from(end.saturating_sub(so_far)).unwrap_or(u32::MAX);
            match at + 1 == frames {
                true => self.writer.write_packet_with_duration(packet, left)?,
                false => self.writer.write_packet(packet)?,
            }
        }
        self.writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second and a bit of a tone.
    fn tone(rate: u32) -> Vec<u8> {
        let samples = (0..rate + 77).map(|at| {
            let angle = f64::from(at) * 440.0 * std::f64::consts::TAU / f64::from(rate);
            (angle.sin() * 12_000.0) as i16
        });
        samples.flat_map(i16::to_le_bytes).collect()
    }

    /// Packs in pieces, most of which end within a sample.
    fn packed(format: AudioFormat, samples: &[u8], rate: u32) -> Vec<u8> {
        let mut packer = Packer::new(format);
        let mut out = Vec::new();
        for piece in samples.chunks(4_801) {
            out.extend(packer.push(piece, rate).unwrap());
        }
        out.extend(packer.finish());
        out
    }

    /// How like a tone of 440 Hz it is, and how loud: 12 000 / 32 768 / √2 ≈ 0.26.
    fn loudness(samples: &[f32]) -> f64 {
        let square = samples.iter().map(|x| f64::from(*x) * f64::from(*x));
        (square.sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn samples_alone_stay_as_they_are() {
        let samples = tone(24_000);
        assert_eq!(packed(AudioFormat::Pcm, &samples, 24_000), samples);
    }

    #[test]
    fn a_wav_file_says_what_is_in_it() {
        let samples = tone(24_000);
        let file = packed(AudioFormat::Wav, &samples, 24_000);
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        assert_eq!(&file[..4], b"RIFF");
        assert_eq!(number(4) as usize, file.len() - 8);
        assert_eq!(&file[8..16], b"WAVEfmt ");
        assert_eq!((number(24), number(28)), (24_000, 48_000));
        assert_eq!(number(40) as usize, samples.len());
        assert_eq!(&file[44..], samples);
    }

    #[test]
    fn mp3_is_the_same_sound_in_an_eighth_of_the_size() {
        let samples = tone(24_000);
        let file = packed(AudioFormat::Mp3, &samples, 24_000);
        assert!(file.len() < samples.len() / 4, "{}", file.len());
        let mut decoder = rusty_mp3::Mp3Decoder::new();
        decoder.push(&file);
        decoder.flush();
        let mut heard = Vec::new();
        while let Ok(frame) = decoder.next_frame() {
            assert_eq!((frame.sample_rate, frame.channels), (24_000, 1));
            heard.extend(frame.samples);
        }
        assert!(heard.len() >= samples.len() / 2, "nothing is cut off");
        assert!(
            (0.2..0.3).contains(&loudness(&heard)),
            "{}",
            loudness(&heard)
        );
    }

    #[test]
    fn opus_is_the_same_sound_of_the_same_length() {
        for rate in [24_000, 48_000, 16_000] {
            let samples = tone(rate);
            let file = packed(AudioFormat::Opus, &samples, rate);
            assert!(file.len() < samples.len() / 4, "{}", file.len());
            let mut reader = opus_pure::OggOpusReader::new(&file[..]).unwrap();
            let hertz = i32::try_from(rate).unwrap();
            let mut decoder = reader.head().decoder(hertz).unwrap();
            let mut trim = opus_pure::Trim::new(reader.head(), hertz, 1).unwrap();
            let mut heard = Vec::new();
            let mut block = vec![0.0; opus_pure::MAX_PACKET_SAMPLES];
            while let Some(packet) = reader.read_packet().unwrap() {
                let count = decoder
                    .decode(&packet.data, block.len(), &mut block)
                    .unwrap();
                heard.extend_from_slice(trim.keep(&packet, &block[..count]));
            }
            assert_eq!(heard.len(), samples.len() / 2, "{rate}");
            assert!(
                (0.2..0.3).contains(&loudness(&heard)),
                "{}",
                loudness(&heard)
            );
        }
    }

    #[test]
    fn a_rate_that_a_format_has_not_is_refused() {
        for format in [AudioFormat::Opus, AudioFormat::Mp3] {
            let error = Packer::new(format).push(&[0; 4], 7_000).unwrap_err();
            assert!(
                error.to_string().contains("7000 samples a second"),
                "{error}"
            );
        }
    }

    #[test]
    fn silence_of_no_length_is_a_file() {
        for format in [
            AudioFormat::Wav,
            AudioFormat::Pcm,
            AudioFormat::Mp3,
            AudioFormat::Opus,
        ] {
            packed(format, &[], 24_000);
        }
    }
}
