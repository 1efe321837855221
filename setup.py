"""Finds the packages of the several roots; everything else about the project is in setup.cfg.

`find_packages` per root instead of a hand-written list: a list that forgets a subpackage passes in an
editable install and fails only in the wheel.
"""

from setuptools import find_packages, setup

ROOTS = {
    "lab_adapters": "adapters", "lab_bridge": "bridge", "lab_parity": "parity_tests", "lab_pytest": "parity_tests",
    "lab_migrate": "tools",
}  # fmt: skip

package_dir = {"legacy_lab": "legacy_lab"}
packages = find_packages(".", include=["legacy_lab", "legacy_lab.*"], exclude=["*.tests", "*.tests.*"])
for package, root in ROOTS.items():
    package_dir[package] = f"{root}/{package}"
    packages += find_packages(root, include=[package, f"{package}.*"])

data = ["py.typed", "*.toml", "*.jinja", "*.html", "*.css", "*.js", "*.gin", "templates/*", "profiles/*.toml"]
package_data = dict.fromkeys(packages, data)

# The example projects travel with the command that demonstrates on them.
package_dir["lab_migrate.demo_projects"] = "examples"
packages.append("lab_migrate.demo_projects")
package_data["lab_migrate.demo_projects"] = ["*/*.py", "*/*.gin"]

setup(packages=packages, package_dir=package_dir, package_data=package_data)
