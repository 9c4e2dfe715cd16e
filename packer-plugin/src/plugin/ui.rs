use crate::wire::msgpack::Value;
use crate::wire::rpc::Client;

/// Packer's own output; clones write to the same one, each line in the order of the calls.
///
/// Nothing is returned: output fails only when Packer is gone, and then every call to the guest
/// says so.
#[derive(Debug, Clone)]
pub struct Ui {
    client: Client,
}

impl Ui {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Progress and results: `==> build: text`, each line of the text with the prefix.
    pub fn say(&self, text: &str) {
        self.call("Ui.Say", &text.into());
    }

    /// Detail below a `say`: `    build: text` in Packer 1.6, the same as `say` in 1.16.
    pub fn message(&self, text: &str) {
        self.call("Ui.Message", &text.into());
    }

    /// Problems: red, to stderr.
    pub fn error(&self, text: &str) {
        self.call("Ui.Error", &text.into());
    }

    /// Data for tools; shown only with `-machine-readable`.
    pub fn machine(&self, category: &str, arguments: &[&str]) {
        let arguments = arguments.iter().map(|text| Value::from(*text)).collect();
        let argument =
            Value::map([("Category", category.into()), ("Args", Value::Array(arguments))]);
        self.call("Ui.Machine", &argument);
    }

    fn call(&self, method: &str, argument: &Value) {
        if let Err(error) = self.client.call(method, argument) {
            log::warn!("{method} failed: {error}");
        }
    }
}
