//! The administrator of the API server: a program for each request would take longer than what is tested.

use std::time::Duration;

use notariat::http::tls::TlsTrust;
use notariat::http::{Http, Method, Request};
use notariat_lab::Kube;
use serde_json::{Value, json};

pub struct Admin {
    http: Http,
    server: String,
    bearer: String,
}

impl Admin {
    pub fn of(kube: &Kube) -> Admin {
        let trust = TlsTrust { roots_pem: std::fs::read(kube.ca_file()).unwrap(), ..TlsTrust::default() };
        let kubeconfig = std::fs::read_to_string(kube.admin_kubeconfig()).unwrap();
        let token = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap();
        Admin { http: Http::new(&trust, None).unwrap(), server: kube.api_url(), bearer: format!("Bearer {token}") }
    }

    /// Sends a request; what comes back is an object, or why there is none.
    pub fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.server);
        let headers = [("authorization", &*self.bearer), ("content-type", "application/json")];
        let body = body.to_string();
        let request = Request {
            method,
            url: &url,
            headers: &headers,
            body: body.as_bytes(),
            within: Duration::from_secs(60),
            body_max: 1 << 24,
        };
        // A connection that was open may have been closed meanwhile.
        let answer = self.http.send(&request).or_else(|_| self.http.send(&request)).map_err(|e| e.to_string())?;
        let said = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.is_success() { Ok(said) } else { Err(format!("{path}: {} {said}", answer.status)) }
    }

    fn make(&self, path: &str, object: &Value) -> Value {
        self.ask(Method::Post, path, object).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A namespace with the account and the Role of deploy/: a token of the account.
    pub fn deploy(&self, namespace: &str) -> String {
        self.make("/api/v1/namespaces", &json!({"metadata": {"name": namespace}}));
        let core = format!("/api/v1/namespaces/{namespace}");
        let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
        for (file, path) in [
            ("serviceaccount", format!("{core}/serviceaccounts")),
            ("role", format!("{rbac}/roles")),
            ("rolebinding", format!("{rbac}/rolebindings")),
        ] {
            let file = format!("{}/deploy/single-namespace/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
            let mut object: Value = serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            if let Some(subject) = object["subjects"].get_mut(0) {
                subject["namespace"] = json!(namespace);
            }
            self.make(&path, &object);
        }
        let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}});
        let token = self.make(&format!("{core}/serviceaccounts/notariat/token"), &asked);
        token["status"]["token"].as_str().unwrap().to_owned()
    }

    pub fn create(&self, namespace: &str, plural: &str, object: &Value) {
        self.make(&format!("/api/v1/namespaces/{namespace}/{plural}"), object);
    }

    pub fn secret(&self, namespace: &str, name: &str) -> Option<Value> {
        self.ask(Method::Get, &format!("/api/v1/namespaces/{namespace}/secrets/{name}"), &Value::Null).ok()
    }

    pub fn annotate(&self, namespace: &str, name: &str, annotation: &str, value: &str) {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let mut object = self.ask(Method::Get, &path, &Value::Null).unwrap();
        object["metadata"]["annotations"][annotation] = json!(value);
        self.ask(Method::Put, &path, &object).unwrap();
    }

    pub fn delete_secret(&self, namespace: &str, name: &str) {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        self.ask(Method::Delete, &path, &json!({})).unwrap();
    }
}
