//! Entries that went while the controller runs under the Role that `notariat role` prints, which names each Secret.

use crate::support::Run;
use crate::support::cluster::Cluster;
use crate::support::run::notariat;

#[test]
fn under_the_printed_role_an_entry_that_goes_is_noticed() {
    let cluster = Cluster::new();
    let entries = [cluster.site.entry("stays", "a.site.test", ""), cluster.site.entry("goes", "b.site.test", "")];
    cluster.config(&entries.concat());
    let mut command = cluster.command(cluster.kube.admin_kubeconfig(), &[]);
    let role = Run::of(notariat().arg("role").args(command.args([""; 0]).get_args())).ends(0).stdout;
    cluster.kube.kubectl_stdin(&["-n", &cluster.namespace, "apply", "-f", "-"], &role);
    let daemon = cluster.daemon(&[]);
    daemon.until("both are there", || daemon.log().matches("issued secret=").count() == 2);
    cluster.config(&entries[0]);
    daemon.until_it_says("orphaned secret=");
    // It comes back within the time, and goes on where it was.
    cluster.config(&entries.concat());
    daemon.until_it_says("wanted-again secret=");
    assert_eq!(daemon.log().matches("issued secret=").count(), 2, "{}", daemon.log());
    daemon.kill();
}
