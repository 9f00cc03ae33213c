#[derive(Debug)]
pub(crate) struct Event { pub(crate) name: String, pub(crate) data: String }
#[derive(Debug, Default)]
pub(crate) struct Parser { line: Vec<u8>, name: String, data: Option<String>, cr: bool }
#[derive(Debug, thiserror::Error)]
#[error("sse")]
pub(crate) struct Error;
impl Parser {
    pub(crate) fn new() -> Self { Self::default() }
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Error> {
        for &b in bytes {
            let cr = std::mem::take(&mut self.cr);
            match b { b'\n' if cr => {}, b'\n' => self.end(out), b'\r' => { self.cr = true; self.end(out) }, b => self.line.push(b) }
        }
        Ok(())
    }
    fn end(&mut self, out: &mut Vec<Event>) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_start();
        if line.is_empty() {
            if let Some(data) = self.data.take() { out.push(Event { name: std::mem::take(&mut self.name), data }); }
            self.name.clear();
            return;
        }
        let (f, v) = line.split_once(':').unwrap_or((line, ""));
        let v = v.strip_prefix(' ').unwrap_or(v);
        match f { "data" => match &mut self.data { Some(d) => { d.push('\n'); d.push_str(v) } None => self.data = Some(v.to_owned()) }, "event" => self.name = v.to_owned(), _ => {} }
    }
    pub(crate) fn finish(&mut self, out: &mut Vec<Event>) { if !self.line.is_empty() { self.end(out); } self.end(out); }
}
