"""The script that lets a client install from the mirror alone, and can undo it."""

from __future__ import annotations

SCRIPT = r"""#!/bin/sh
# Made by `mirrorpy emit repo --disable-others`. On a client, as root:
#   sh SCRIPT         install from the mirror alone: write mirrorpy.repo, rename every other .repo file to .repo.not
#   sh SCRIPT undo    as it was before
set -eu
cd "${REPOSDIR:-/etc/yum.repos.d}"
ours=mirrorpy.repo
list=mirrorpy.renamed
status=0

renamed() {
    [ -f "$list" ] && grep -qxF -e "$1" "$list"
}

complain() {
    echo "$1" >&2
    status=1
}

case "${1-}" in
'')
    # Before the first run, a file of our name is another one's.
    if [ ! -e "$list" ] && [ -e "$ours" ]; then
        mv -- "$ours" "$ours.not"
        echo "$ours" > "$list"
    fi
    : >> "$list"
    cat > "$ours.new" <<'END-OF-REPO-FILE'
@REPO@END-OF-REPO-FILE
    chmod 644 "$ours.new"
    mv -f "$ours.new" "$ours"
    for file in *.repo; do
        [ "$file" != "$ours" ] && [ -f "$file" ] || continue
        if [ -e "$file.not" ] && ! renamed "$file"; then
            complain "$file: not renamed: $file.not is there already"
            continue
        fi
        renamed "$file" || printf '%s\n' "$file" >> "$list"
        mv -f -- "$file" "$file.not"
    done
    ;;
undo)
    if [ -f "$list" ]; then
        rm -f "$ours"
        while IFS= read -r file; do
            [ -e "$file.not" ] || continue
            if [ -e "$file" ]; then
                complain "$file: is there again; $file.not is left beside it"
            else
                mv -- "$file.not" "$file"
            fi
        done < "$list"
    fi
    rm -f "$list"
    ;;
*)
    complain "usage: sh $0 [undo]"
    ;;
esac
exit $status
"""


def disable_script(repo_file: str) -> str:
    """Return a POSIX shell script that holds the .repo file."""
    return SCRIPT.replace("@REPO@", repo_file)
