//! Certificates for Ingresses, Gateways and Services, end to end: a real API server, name server and CA.

mod ingress;
