#!/usr/bin/env bash
# Builds the image of container/ and pushes it, unless the repository has it: bash workflow/image.sh [REPOSITORY_URI]
# Prints the image's address by digest, and nothing else on stdout. The default is the stage's repository on AWS.
# Without a Docker engine, or without a repository, in a build on one machine: says so, and prints nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=.venv/bin/python
repository=${1:-${REPOSITORY_URI:-}}
here=${CODEBUILD_LOCAL_BUILD:-}
# The tag is the hash of container/, so an image that is there is the image. It goes on by its digest.
tag=$($python -c 'from pipelines.sources import image_tag; print(image_tag())')

if ! docker info > /dev/null 2>&1; then
  if [[ -n "$here" ]]; then
    echo "No Docker engine answers here: the image $tag is not built, the local cloud runs its environment instead." >&2
    exit 0
  fi
  echo "No Docker engine answers: start one; a CodeBuild project needs PrivilegedMode." >&2
  exit 1
fi
if [[ -z "$repository" && -n "$here" ]]; then
  docker buildx build --file container/Dockerfile --tag "loadingbay:$tag" --load . >&2
  echo "The image loadingbay:$tag is built and stays here: REPOSITORY_URI names no registry." >&2
  exit 0
fi
if [[ -z "$repository" ]]; then
  stage=${LOADINGBAY_STAGE:-loadingbay}
  repository=$(.venv/bin/aws cloudformation describe-stacks --stack-name "$stage" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='ImageRepositoryUri'].OutputValue")
fi

.venv/bin/aws ecr get-login-password | docker login --username AWS --password-stdin "${repository%%/*}" >&2
known=$(.venv/bin/aws ecr describe-images --repository-name "${repository#*/}" --image-ids "imageTag=$tag" \
  --query 'imageDetails[0].imageDigest' --output text 2> /dev/null || true)
if [[ "$known" != sha256:* ]]; then
  mkdir -p .loadingbay
  # A builder of its own: Docker's built-in one cannot export its layers to a registry. Its image comes from the public
  # ECR gallery, because Docker Hub limits how often CodeBuild's shared addresses may pull.
  docker buildx inspect loadingbay > /dev/null 2>&1 || docker buildx create --name loadingbay \
    --driver docker-container --driver-opt image=public.ecr.aws/vend/moby/buildkit:buildx-stable-1 >&2
  # SageMaker takes one Docker manifest: no index, no attestations. The bill of materials is a file of the image.
  docker buildx build --builder loadingbay --file container/Dockerfile --tag "$repository:$tag" --provenance=false --sbom=false \
    --platform linux/amd64 \
    --cache-from "type=registry,ref=$repository:cache" \
    --cache-to "type=registry,ref=$repository:cache,mode=max,image-manifest=true,ignore-error=true" \
    --output type=image,oci-mediatypes=false,push=true --metadata-file .loadingbay/image.json . >&2
  known=$($python -c 'import json; print(json.load(open(".loadingbay/image.json"))["containerimage.digest"])')
fi
echo "$repository@$known"
